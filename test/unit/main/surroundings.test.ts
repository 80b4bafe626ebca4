// Whether the V8 that this runs on knows the option: one that does not says so on stderr, once per daemon.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { EARLY } from "../../../src/main/surroundings.ts";

test("V8 has the option that daemons set, and would wait for longer by itself", () => {
  const [name, calls] = EARLY.split("=");
  const options = execFileSync(process.execPath, ["--v8-options"], { encoding: "utf8" });
  const byDefault = new RegExp(`default: ${name}=(\\d+)`).exec(options)?.[1];
  assert.ok(Number(byDefault) > Number(calls), `by default ${byDefault}`);
});
