// What a shell is told may follow: verbs, options, and what only the server knows; by bash itself, too.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(async () => {
  await line.open();
  for (const name of ["blue", "black"]) {
    const { code, stderr } = await line.weft(["network", "create", name, "--subnet", "10.7.0.0/16"]);
    assert.equal(code, 0, stderr);
  }
  await line.joinHost("rack1", "192.168.0.1");
});
after(() => line.close());

const BIN = join(import.meta.dirname, "../../../../bin");

async function words(typed: string, env: Record<string, string> = {}): Promise<readonly string[]> {
  const { code, stdout, stderr } = await line.weft(["completion", "words", "--", ...typed.split(" ")], { env });
  assert.deepEqual([code, stderr], [0, ""], typed);
  return stdout.split("\n").filter((word) => word !== "");
}

test("verbs, options, and names of what is there", async () => {
  assert.ok((await words("netw")).includes("network"));
  assert.ok((await words("network cr")).includes("create"));
  assert.ok((await words("network create x --sub")).includes("--subnet"));
  assert.deepEqual(await words("network show "), ["black", "blue"]);
  assert.deepEqual(await words("net rm blue "), ["black"]);
  assert.deepEqual(await words("network create "), []);
  assert.deepEqual(await words("network join "), ["black", "blue"]);
  assert.deepEqual(await words("attach --network "), ["black", "blue"]);
  assert.deepEqual(await words("lease list --host "), ["rack1"]);
  assert.deepEqual(await words("vrf edit "), ["black", "blue"]);
  assert.deepEqual(await words("sg show "), ["default"]);
  assert.deepEqual(await words("network list -o "), ["json", "yaml", "wide", "name"]);
  assert.deepEqual(await words("network create x --ipam "), ["local", "global"]);
  for (const command of ["network create x", "network edit x", "pool edit x"])
    assert.deepEqual((await words(`${command} --driver `)).slice(0, 2), ["vxlan", "gre"]);
  assert.deepEqual(await words("completion "), ["bash", "zsh", "fish"]);
  // A server that is not there is no error to a shell.
  assert.deepEqual(await words("network show ", { WEFT_SERVER: "unix:/nowhere" }), []);
});

test("bash completes with the script that it is given", async () => {
  const { stdout: script } = await line.weft(["completion", "bash"]);
  const typed = `COMP_WORDS=(weft network show bl); COMP_CWORD=3; _weft; printf '%s ' "\${COMPREPLY[@]}"`;
  const env = {
    PATH: `${BIN}:${process.env["PATH"]}`,
    WEFT_CONFIG_DIR: line.folder,
    WEFT_SERVER: line.url,
    WEFT_TOKEN_FILE: join(line.folder, "admin.token"),
  };
  const { stdout } = await promisify(execFile)("bash", ["-c", `${script}\n${typed}`], { env });
  assert.equal(stdout.trim(), "black blue");
  for (const shell of ["zsh", "fish"])
    assert.match((await line.weft(["completion", shell])).stdout, /weft completion words/);
  assert.equal((await line.weft(["completion", "csh"])).code, 2);
});
