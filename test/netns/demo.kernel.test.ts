// The first minute with Weft: script/up builds what it says, the commands that it prints work, and script/down leaves
// nothing. The demonstration has fixed names, so the test is skipped while it is running.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { run, until } from "./lab/cluster.ts";

const ROOT = join(import.meta.dirname, "../..");
const RUN_DIR = "/run/weft/demo";
const whyNot = whyNoKernelTests() ?? (existsSync(RUN_DIR) ? "the demonstration is running" : false);

function namespaces(): string[] {
  return existsSync("/run/netns") ? readdirSync("/run/netns").filter((name) => name.startsWith("weft-demo-")) : [];
}

/** Of every process that is running now. */
function commandLines(): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) ? [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")] : [];
    } catch {
      return []; // It ended while we were looking.
    }
  });
}

/** Links of the machine's own namespace: the demonstration must not add one. */
async function links(): Promise<string> {
  return (await run("ip", "-brief", "link")).stdout;
}

describe("the demonstration", { skip: whyNot }, () => {
  // Also when a test failed: what is left would be in everybody's way.
  after(() => run(join(ROOT, "script/down")));

  test("comes up, and all workloads reach each other", async () => {
    const before = await links();
    const up = await run(join(ROOT, "bin/weft"), "demo", "up");
    assert.equal(up.code, 0, up.stderr);
    assert.equal(await links(), before);
    assert.match(up.stdout, /^dcos 9\.0\.0\.0\/8\n {2}FROM +HOST +ADDRESS/m);
    assert.equal(up.stdout.match(/\d\.\d\d ms/g)?.length, 12, up.stdout);
    assert.equal(up.stdout.includes("lost"), false);

    const commands = [...up.stderr.matchAll(/^ {2}((?:bin\/weft|ip) .+?) {3}/gm)].map((match) => match[1] ?? "");
    assert.equal(commands.length, 5, up.stderr);
    for (const command of commands) {
      const [program = "", ...args] = command.split(" ");
      const { code, stderr, stdout } = await run("env", "-C", ROOT, program, ...args);
      assert.equal(code, args[0] === "plan" ? 10 : 0, `${command}: ${stderr}`);
      assert.notEqual(stdout, "");
    }
  });

  test("up again says what is there", async () => {
    const again = await run(join(ROOT, "bin/weft"), "demo", "up");
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stderr, /already up/);
    assert.match(again.stdout, /^converged at revision \d+ on 3 of 3 hosts, 3 of 3 paths proven$/m);
  });

  test("purge takes a host's part out of its kernel, but not from under a running agent", async () => {
    const [host, prefix] = [`${RUN_DIR}/h3`, "weft-demo-h3-"];
    const flags = ["--state-dir", host, "--socket", `${host}/agent.sock`, "--netns-prefix", prefix, "--yes"];
    const purge = () => run("nsenter", "--net=/run/netns/weft-demo-h3", join(ROOT, "bin/weft"), "purge", ...flags);
    assert.equal((await purge()).code, 4);
    assert.deepEqual(namespaces().includes(`${prefix}dcos`), true);
    const pid = Number(readFileSync(`${RUN_DIR}/pids/agent-h3`, "utf8").split(" ")[0]);
    process.kill(pid, "SIGTERM");
    await until("the agent has ended", async () => !existsSync(`/proc/${pid}`));
    const purged = await purge();
    assert.equal(purged.code, 0, purged.stderr);
    assert.equal(namespaces().includes(`${prefix}dcos`), false);
    assert.equal((await run("ip", "-n", "weft-demo-h3", "-brief", "link")).stdout.split("\n").length, 3);
    assert.equal((await run("ip", "-n", "weft-demo-web3", "link", "show", "eth0")).code, 1);
    assert.equal(namespaces().includes("weft-demo-h1-dcos"), true);
  });

  test("down leaves nothing", async () => {
    const down = await run(join(ROOT, "script/down"));
    assert.equal(down.code, 0, down.stderr);
    assert.deepEqual(namespaces(), []);
    assert.equal(existsSync(RUN_DIR), false);
    assert.equal(existsSync("/run/weft/cli.json"), false);
    assert.deepEqual(
      commandLines().filter((line) => line.includes(RUN_DIR)),
      [],
    );
  });
});
