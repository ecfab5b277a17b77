// Evaluates JSONata with the reference implementation. Each line of input is {expression, bindings, at}, each line of
// output {value}, {} or {error}. `at` is the time in ms that $now() and $millis() return.
const jsonata = require("jsonata");
const readline = require("readline");

const RealDate = Date;
let at = 0;
global.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length ? args : [at]));
  }
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    at = request.at;
    let answer;
    try {
      answer = { value: await jsonata(request.expression).evaluate(undefined, request.bindings) };
      if (typeof answer.value === "function") answer = { error: "a function" };
    } catch (error) {
      answer = { error: error.message || String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}

main();
