// docs/tenancy.md, step by step: each command of its `console` blocks is run by whom its prompt names, against a real
// server, agents and kernel, and prints what the page shows. WEFT_WRITE_PAGE=1 writes what they print into the page.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, run } from "./lab/cluster.ts";
import { SERVER_IP } from "./lab/layout.ts";
import { Page, type Step } from "./lab/page.ts";

const ROOT = join(import.meta.dirname, "../..");
const URL = `https://${SERVER_IP}:7474`;
const PAGE = new Page(join(ROOT, "docs/tenancy.md"));

describe("docs/tenancy.md", { skip: whyNoKernelTests() ?? false }, () => {
  const cluster = new Cluster(2);

  /** What follows the last dot of the join token. */
  const pin = () =>
    readFileSync(join(cluster.folder, "server", "join.token"), "utf8")
      .trim()
      .split(".")
      .at(-1) ?? "";

  before(() => cluster.open());
  after(() => cluster.close());

  /** Who types: root of a host, the administrator, or a user with a home of its own. */
  function surroundings(who: string): readonly string[] {
    const [, host] = /^root@(.*)$/.exec(who) ?? [];
    const home = join(cluster.folder, `home-${who}`);
    mkdirSync(home, { recursive: true });
    const all = [`PATH=${join(ROOT, "bin")}:${process.env["PATH"] ?? ""}`, `HOME=${home}`, `WEFT_CONFIG_DIR=${home}`];
    if (host !== undefined) return [...all, `WEFT_AGENT_SOCKET=${cluster.agentSocket(host)}`];
    if (who !== "admin") return all;
    return [
      ...all,
      `WEFT_SERVER=${URL}`,
      `WEFT_CA_PIN=${pin()}`,
      `WEFT_TOKEN_FILE=${join(cluster.folder, "server", "admin.token")}`,
    ];
  }

  /** Names of namespaces, and where the server is, are those of this test. */
  function here(command: string): string {
    return command
      .replaceAll(/(netns (?:add|exec)|--netns) ([a-z]\w*)/g, `$1 ${cluster.id}-$2`)
      .replaceAll("https://weft1:7474", URL)
      .replaceAll("--ca-pin PIN", `--ca-pin ${pin()}`);
  }

  async function outputOf({ who, command }: Step): Promise<string> {
    const script = `cd ${cluster.folder}; ${here(command)} 2>&1`;
    // Root of a host talks to its agent; all others come by the network, from where the server is.
    const from = who.startsWith("root@") ? [] : ["nsenter", `--net=/run/netns/${cluster.wire}`];
    const { stdout } = await run(...from, "env", "-i", ...surroundings(who), "sh", "-c", script);
    return stdout
      .replaceAll(`${cluster.id}-`, "")
      .replaceAll(URL, "https://weft1:7474")
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
