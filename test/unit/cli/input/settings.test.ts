// Flag, environment, file, default: which one wins.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Fault } from "../../../../src/model/fault.ts";
import { settingsOf } from "../../../../src/cli/input/settings.ts";

const dir = mkdtempSync(join(tmpdir(), "weft-settings-"));
after(() => rmSync(dir, { recursive: true, force: true }));
const NAMES = ["listen", "data-dir"] as const;

test("a flag beats the environment, which beats the file; what nobody says is absent", async () => {
  writeFileSync(join(dir, "server.yaml"), "listen: file\ndata-dir: file\n");
  const env = { WEFT_CONFIG_DIR: dir, WEFT_DATA_DIR: "env" };
  assert.deepEqual(await settingsOf("server", NAMES, {}, env), { listen: "file", "data-dir": "env" });
  assert.deepEqual(await settingsOf("server", NAMES, { dataDir: "flag" }, env), { listen: "file", "data-dir": "flag" });
  assert.deepEqual(await settingsOf("agent", NAMES, {}, { WEFT_CONFIG_DIR: dir }), {});
});

test("a misspelt setting in a file is refused with its place", async () => {
  writeFileSync(join(dir, "server.yaml"), "lisden: file\n");
  await assert.rejects(settingsOf("server", NAMES, {}, { WEFT_CONFIG_DIR: dir }), (error) => {
    assert.ok(error instanceof Fault);
    assert.equal(error.reason, "request-invalid");
    assert.equal(error.detail.where, `${join(dir, "server.yaml")}: lisden`);
    return true;
  });
});
