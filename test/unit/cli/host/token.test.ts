// `weft host token`: what people see when they make, list and end join tokens, and delete a host that has one.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(() => line.open());
after(() => line.close());

const host = (n: number) => ({ host: `h${n}`, underlay: `192.0.2.${n}`, underlayMtu: 1500, hostPrefixes: [] });

test("a token is printed once, alone on stdout; the list has who used it, and how it stands", async () => {
  const made = await line.weft(["host", "token", "create", "rack7", "--uses", "1", "--expires", "2h"]);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /^weft_join_[\w-]{43}\n$/);
  assert.match(made.stderr, /^join token rack7: for one host, until \d.*; it is not shown again\n$/);
  await line.control.join(host(1), made.stdout.trim());
  const { stdout } = await line.weft(["host", "token", "list"]);
  assert.match(stdout, /^NAME +STATE +USED +LAST +SINCE +UNTIL$/m);
  assert.match(stdout, /^default +valid +0 /m);
  assert.match(stdout, /^rack7 +used up +1 of 1 +h1 /m);
  const rows = await line.json<{ name: string; used: number }[]>("host", "token", "list");
  assert.deepEqual(
    rows.map(({ name, used }) => [name, used]),
    [
      ["default", 0],
      ["rack7", 1],
    ],
  );
  const ended = await line.weft(["host", "token", "delete", "rack7"]);
  assert.deepEqual([ended.code, ended.stderr], [0, "join token rack7 ended\n"]);
  const again = await line.weft(["host", "token", "delete", "rack7"]);
  assert.equal(again.code, 3, again.stderr);
  assert.match(again.stderr, /no join token "rack7"/);
});

test("the delete of a host names the tokens by which it can return", async () => {
  const { stdout } = await line.weft(["host", "token", "create", "rack8"]);
  await line.control.join(host(2), stdout.trim());
  const deleted = await line.weft(["host", "delete", "h2", "--force", "--yes"]);
  assert.equal(deleted.code, 0, deleted.stderr);
  assert.match(deleted.stderr, /it can join again by the join token rack8, .*weft host token delete rack8\n$/);
  await line.joinHost("h3", "192.0.2.3");
  await line.weft(["host", "token", "delete", "default"]);
  const next = await line.weft(["host", "delete", "h3", "--force", "--yes"]);
  assert.doesNotMatch(next.stderr, /join again/);
  await line.control.setToken("join", "j".repeat(40));
});
