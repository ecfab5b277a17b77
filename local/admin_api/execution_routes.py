"""The executions of both workflows."""

from fastapi import FastAPI

from local.admin_api.executions import Json, Workflow
from local.admin_api.local_admin import LocalAdmin


def add_routes(app: FastAPI, admin: LocalAdmin) -> None:
    @app.get("/executions")
    def executions(workflow: Workflow = "payment") -> list[Json]:
        """The executions of a `workflow`, payment or refund, oldest first."""
        return admin.executions(workflow)

    @app.get("/executions/{name}")
    def execution(name: str, workflow: Workflow = "payment") -> Json:
        """The execution's status, the states it visited, and the state it waits in.

        `replacement` is the newest execution that the reconciler started in its place, with its `name`; the field is
        missing where there is none.
        """
        found = admin.execution(name, workflow).as_json()
        if (newest := admin.replacement(name, workflow)) is not None:
            found["replacement"] = {"name": newest[0], **newest[1].as_json()}
        return found

    @app.post("/executions/{name}/stop")
    def stop(name: str, workflow: Workflow = "payment") -> Json:
        """Abort the execution."""
        admin.stop_execution(name, workflow)
        return {"status": admin.execution(name, workflow).status}
