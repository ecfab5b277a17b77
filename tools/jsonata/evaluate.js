// Evaluates with JSONata's own evaluator: one JSON object a line, {expression, bindings, at} in, {value}, {} or {error} out.
// `at` is the time that $now() and $millis() tell, in milliseconds.
const jsonata = require("jsonata");
const readline = require("readline");

const RealDate = Date;
let at = 0;
global.Date = class extends RealDate {
  constructor(...given) {
    super(...(given.length ? given : [at]));
  }
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    at = asked.at;
    let answer;
    try {
      answer = { value: await jsonata(asked.expression).evaluate(undefined, asked.bindings) };
      if (typeof answer.value === "function") answer = { error: "a function" };
    } catch (error) {
      answer = { error: error.message || String(error) };
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
  }
}

main();
