"""The system as a whole: settings, the reconciler, injected AWS faults, what was published."""

from fastapi import FastAPI

from local.admin_api.executions import Json
from local.admin_api.local_admin import LocalAdmin
from local.admin_api.request_bodies import AwsFault
from local.aws import emulator


def add_routes(app: FastAPI, admin: LocalAdmin) -> None:
    @app.get("/settings")
    def settings() -> Json:
        """Keys, the log file, the configuration, names and ARNs."""
        return admin.settings()

    @app.post("/reconcile")
    def reconcile() -> Json:
        """Run the reconciler now; the answer counts what it found."""
        return admin.reconcile()

    @app.post("/aws/faults", status_code=201)
    def aws_fault(body: AwsFault) -> Json:
        """Let the next calls of an AWS operation fail."""
        emulator.aws_faults.add(**body.model_dump())
        return body.model_dump()

    @app.get("/events")
    def events() -> list[Json]:
        """The events that were published."""
        return admin.events()

    @app.get("/notifications")
    def notifications() -> list[Json]:
        """The messages that were sent to operators."""
        return admin.notifications()
