// Runs a test file in a guest: `node test/guest/run.ts [NODE'S FLAGS] FILE`. The test runner and inGuest.ts call it.
import { appendFileSync } from "node:fs";
import { whyNoGuests } from "./files.ts";
import { runInGuest } from "./machine.ts";

/** Where node's reporter writes; in the guest that is a line out. */
const DESTINATION = /^--test-reporter-destination=(\/.+)$/;

const obstacle = whyNoGuests();
if (obstacle !== undefined) throw new Error(obstacle);
const args = process.argv.slice(2);
const records = args.flatMap((arg) => DESTINATION.exec(arg)?.[1] ?? [])[0];
process.exitCode = await runInGuest({
  argv: [process.execPath, ...args.map((arg) => arg.replace(DESTINATION, "--test-reporter-destination=/run/records"))],
  env: { ...knobs(), WEFT_GUEST: "1" },
  print: (chunk) => void process.stdout.write(chunk),
  record: (chunk) => records === undefined || appendFileSync(records, chunk),
});

/** What a test is told by hand: WEFT_CONVERT_RUNS. */
function knobs(): Readonly<Record<string, string>> {
  const all = Object.entries(process.env).filter(([name]) => name.startsWith("WEFT_"));
  return Object.fromEntries(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
