// docs/tenancy.md, step by step: each command of its `console` blocks is run by whom its prompt names, against a real
// server, agents and kernel, and prints what the page shows. WEFT_WRITE_PAGE=1 writes what they print into the page.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, run } from "./lab/cluster.ts";
import { Page, type Step } from "./lab/page.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = new Page(join(ROOT, "docs/tenancy.md"));

describe("docs/tenancy.md", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);

  before(() => cluster.open());
  after(() => cluster.close());

  /** Who types: root of a host, the administrator, or a user with a home of its own. */
  function surroundings(who: string): readonly string[] {
    const [, host] = /^root@(.*)$/.exec(who) ?? [];
    const home = join(cluster.folder, `home-${who}`);
    mkdirSync(home, { recursive: true });
    const server = `unix:${cluster.serverSocket}`;
    const all = [`PATH=${join(ROOT, "bin")}:${process.env["PATH"] ?? ""}`, `HOME=${home}`, `WEFT_CONFIG_DIR=${home}`];
    if (host !== undefined) return [...all, `WEFT_AGENT_SOCKET=${cluster.agentSocket(host)}`];
    if (who !== "admin") return all;
    return [...all, `WEFT_SERVER=${server}`, `WEFT_TOKEN_FILE=${join(cluster.folder, "server", "admin.token")}`];
  }

  /** Names of namespaces, and where the server is, are those of this test. */
  function here(command: string): string {
    return command
      .replaceAll(/(netns (?:add|exec)|--netns) ([a-z]\w*)/g, `$1 ${cluster.id}-$2`)
      .replaceAll("http://weft1:7474", `unix:${cluster.serverSocket}`);
  }

  async function outputOf({ who, command }: Step): Promise<string> {
    const script = `cd ${cluster.folder}; ${here(command)} 2>&1`;
    const { stdout } = await run("env", "-i", ...surroundings(who), "sh", "-c", script);
    return stdout
      .replaceAll(`${cluster.id}-`, "")
      .replaceAll(`unix:${cluster.serverSocket}`, "http://weft1:7474")
      .replaceAll(/, time \d+ms/g, "")
      .replaceAll(/[ \t]+$/gm, "")
      .trimEnd();
  }

  /** Revisions depend on what hosts have said meanwhile, times on the day, columns on names of namespaces. */
  const alike = (text: string) =>
    text
      .replaceAll(/(revision:?) +\d+/gi, "$1 N")
      .replaceAll(/\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?/g, "TIME")
      .replaceAll(/ {2,}/g, "  ");

  test("every command prints what the page shows", async () => {
    PAGE.writeFiles(cluster.folder);
    const { steps } = PAGE;
    assert.ok(steps.length > 20, `${steps.length} steps`);
    const outputs: string[] = [];
    for (const step of steps) {
      const output = await outputOf(step);
      outputs.push(output);
      if (process.env["WEFT_WRITE_PAGE"] === undefined)
        assert.equal(alike(output), alike(step.output), `${step.who}$ ${step.command}`);
      // Agents follow what was written before the next command needs it.
      if (step.who.startsWith("root@") || /instantiate|attach/.test(step.command)) await cluster.converged();
    }
    if (process.env["WEFT_WRITE_PAGE"] !== undefined) PAGE.rewrite(outputs);
  });
});
