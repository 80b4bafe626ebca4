// Which files `weft purge` removes from an agent's directory.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Io } from "../../../src/cli/io.ts";
import { openDisk } from "../../../src/agent/server/stateDir.ts";
import { fileJournal } from "../../../src/agent/journal/journal.ts";
import { realFiles } from "../../../src/files/real.ts";
import { Fault } from "../../../src/model/fault.ts";
import { purge } from "../../../src/main/purge.ts";
import { removeStateFiles, stateFilesIn } from "../../../src/main/stateFiles.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weft-state-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function agentIn(directory: string): void {
  const disk = openDisk(directory, realFiles);
  disk.proposal(() => "p".repeat(43));
  disk.saveIdentity({ host: "h1", cluster: "c", key: "p".repeat(43) });
  disk.saveBlockLease({});
  fileJournal(disk.journalPath, "boot", realFiles).close();
}

const wrong = (error: unknown) => error instanceof Fault && error.reason === "request-invalid";

test("every file an agent writes is known, and its directory goes when nothing else is in it", (t) => {
  const directory = join(folder(t), "agent");
  agentIn(directory);
  writeFileSync(join(directory, "snapshot.json.damaged"), "?");
  const removed = removeStateFiles(stateFilesIn(directory, join(directory, "none.sock")));
  assert.equal(removed.length, 6);
  assert.equal(existsSync(directory), false);
});

test("a file of somebody else in an agent's directory stays, and so does the directory", (t) => {
  const directory = folder(t);
  agentIn(directory);
  writeFileSync(join(directory, "notes.txt"), "mine");
  mkdirSync(join(directory, "backup"));
  assert.equal(removeStateFiles(stateFilesIn(directory, join(directory, "none.sock"))).includes(directory), false);
  assert.deepEqual(readdirSync(directory).sort(), ["backup", "notes.txt"]);
});

test("where nothing is, nothing is removed", (t) => {
  const directory = join(folder(t), "agent");
  assert.deepEqual(removeStateFiles(stateFilesIn(directory, join(directory, "agent.sock"))), []);
});

test("purge refuses what is not an agent's before it asks or touches anything", async (t) => {
  const directory = folder(t);
  writeFileSync(join(directory, "snapshot.json"), "somebody's");
  writeFileSync(join(directory, "photo.jpg"), "somebody's");
  const io = { env: { WEFT_CONFIG_DIR: directory }, err: () => undefined } as unknown as Io;
  const flags = { socket: join(directory, "none.sock"), netnsPrefix: "weft-test-none-" };
  const agent = join(folder(t), "agent");
  agentIn(agent);
  for (const given of [
    { ...flags, stateDir: directory },
    { ...flags, stateDir: join(directory, "photo.jpg") },
    { ...flags, stateDir: agent, socket: directory },
    { ...flags, stateDir: agent, socket: join(directory, "photo.jpg") },
  ])
    await assert.rejects(purge(io, given), /not an agent's, and nothing was removed/, JSON.stringify(given));
  assert.deepEqual(readdirSync(directory).sort(), ["photo.jpg", "snapshot.json"]);
  assert.equal(existsSync(join(agent, "identity.json")), true);
});

test("files of an agent, its socket too, go only after a yes", { skip: process.getuid?.() !== 0 }, async (t) => {
  const agent = join(folder(t), "agent");
  agentIn(agent);
  const socket = join(agent, "agent.sock");
  const door = createServer();
  await new Promise<void>((resolve) => door.listen(socket, resolve));
  t.after(() => door.close());
  const before = readdirSync(agent).sort();
  const io = { env: { WEFT_CONFIG_DIR: agent }, err: () => undefined, ask: undefined } as unknown as Io;
  const flags = { stateDir: agent, socket: join(agent, "none.sock"), netnsPrefix: "weft-test-none-" };
  await assert.rejects(
    purge(io, flags),
    (error) => wrong(error) && (error as Fault).detail.blockers?.includes(join(agent, "identity.json")) === true,
  );
  assert.deepEqual(readdirSync(agent).sort(), before);
  assert.ok(stateFilesIn(agent, socket).paths.includes(socket));
});
