// `weft audit` as people use it: list, show, verify, export, and watch until it is interrupted.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { AuditRecord, AuditVerdict } from "../../../../src/model/audit.ts";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(async () => {
  await line.open();
  for (const args of ["--subnet 10.7.0.0/24", "--subnet 10.8.0.0/24"]) {
    const name = args.includes("7") ? "blue" : "green";
    assert.equal((await line.weft(["network", "create", name, ...args.split(" ")])).code, 0);
  }
  await line.weft(["network", "delete", "nowhere", "--yes"], {
    env: { WEFT_TOKEN_FILE: `${line.folder}/wrong.token` },
  });
});
after(() => line.close());

test("list and show", async () => {
  const { stdout, stderr } = await line.weft(["audit", "list", "--kind", "network"]);
  assert.match(stdout, /^NUMBER +TIME +WHO +FROM +VERB +OBJECT +RESULT +REVISION\n/, stderr);
  assert.match(
    stdout,
    /admin +unknown +put +network\/green +done +2\n.*admin +unknown +put +network\/blue +done +1\n$/s,
  );
  const refused = await line.json<AuditRecord[]>("audit", "list", "--result", "refused", "--since", "1h ago");
  assert.deepEqual([...new Set(refused.map(({ who, result }) => `${who} ${result}`))], ["nobody token-wrong"]);
  const [first] = await line.json<AuditRecord[]>("audit", "list", "--name", "blue", "--limit", "1", "--until", "today");
  const shown = await line.weft(["audit", "show", String(first?.seq)]);
  assert.match(
    shown.stdout,
    /^Number: +\d+\nTime: .*\nWho: +admin\n.*Revision: +1\n.*\nnetwork\/blue\n.* \+ subnets: \[/s,
  );
  assert.equal((await line.weft(["audit", "show", "999"])).code, 3);
  assert.equal((await line.weft(["audit", "list", "--since", "someday"])).code, 2);
});

test("verify, also against a hash that was noted", async () => {
  const whole = await line.weft(["audit", "verify"]);
  const [, last] =
    /^The log is whole: \d+ records, up to revision 2\.\nLast record: (\d+:[\da-f]{64})\n$/.exec(whole.stdout) ?? [];
  assert.ok(last !== undefined, whole.stdout);
  assert.equal((await line.weft(["audit", "verify", "--known", last])).code, 0);
  const other = await line.weft(["audit", "verify", "--known", `1:${"0".repeat(64)}`, "-o", "json"]);
  assert.equal(other.code, 11);
  assert.deepEqual([(JSON.parse(other.stdout) as AuditVerdict).brokenAt], [1]);
  assert.equal((await line.weft(["audit", "verify", "--known", "1"])).code, 2);
});

test("export: a record in each line, the oldest first, whole", async () => {
  const { stdout } = await line.weft(["audit", "export", "--verb", "put"]);
  const records = stdout
    .trimEnd()
    .split("\n")
    .map((text) => JSON.parse(text) as AuditRecord);
  assert.deepEqual(
    records.map(({ object, revision }) => `${object} ${revision}`),
    ["network/blue 1", "network/green 2"],
  );
  assert.notEqual(records[0]?.changes?.[0]?.after, undefined);
});

test("watch: from now on, what matches, in order, until it is interrupted", async () => {
  const put = async (name: string, description: string) => {
    const ran = await line.weft(["network", "edit", name, "--description", description]);
    assert.equal(ran.code, 0, ran.stderr);
  };
  const watch = line.start(["audit", "watch", "--kind", "network", "--name", "blue"]);
  // It says nothing when it has begun; what was before is not said, so this repeats until it hears something.
  for (let n = 0; watch.said.stdout === ""; n++) {
    assert.ok(n < 60, watch.said.stderr);
    await put("blue", `one ${n}`);
  }
  await put("green", "another's");
  await put("blue", "two");
  const { revision } = line.control;
  await watch.until(new RegExp(`at revision ${revision}\n`));
  const { code, stdout, stderr } = await watch.interrupt();
  assert.deepEqual([code, stderr], [130, ""]);
  const numbers = stdout
    .trimEnd()
    .split("\n")
    .map((text) => {
      const [, number] =
        /^(\d+) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d admin from unknown: put network\/blue: done at revision \d+$/.exec(
          text,
        ) ?? [];
      assert.ok(number !== undefined, text);
      return Number(number);
    });
  assert.ok(numbers.length >= 2 && numbers.every((number, i) => i === 0 || number > (numbers[i - 1] ?? 0)), stdout);
  const since = line.start(["audit", "watch", "--since", "1h ago", "--result", "refused"]);
  assert.match((await since.until(/^.+\n/))[0], /nobody from unknown: .*: token-wrong/);
  assert.equal((await since.interrupt()).code, 130);
});
