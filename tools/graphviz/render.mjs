// Draws graphs: each line of input is the DOT text of one as a JSON string, each line of output its SVG as one.
import { createInterface } from "node:readline";
import { instance } from "@viz-js/viz";

const viz = await instance();
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(viz.renderString(JSON.parse(line), { format: "svg" })) + "\n");
}
