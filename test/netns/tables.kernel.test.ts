// The tables of every scenario can be loaded, and listed again. An agent lists them at each observation, and a text
// that libnftables takes may still make it abort when it comes back from the kernel.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { compile } from "../../src/datapath/compile.ts";
import { printOp } from "../../src/datapath/state/print.ts";
import { type Resource, snapshotOf } from "../../src/model/resource.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { run } from "./lab/cluster.ts";

const folder = join(import.meta.dirname, "../scenarios");

/** The lines that load the tables of a scenario's first snapshot, by its host. */
function linesOf(file: string): readonly (readonly string[])[] {
  const text = readFileSync(join(folder, file), "utf8");
  const list = /^== snapshot.*\n([^]*?)^== /m.exec(text)?.[1] ?? assert.fail(`${file} has no snapshot`);
  const resources = (parse(list) as Resource[]).map((one) => ({ ...one, uid: one.name, revision: 1 }));
  const hosts = resources.filter(({ kind }) => kind === "host").map(({ name }) => name);
  const snapshot = snapshotOf("test", 1, resources);
  return hosts.flatMap((host) =>
    [...compile(snapshot, host).values()]
      .filter(({ kind }) => kind === "nft")
      .map((object) => printOp({ op: "add", object: { ...object, ns: "host" } as typeof object })),
  );
}

for (const file of readdirSync(folder).filter((name) => name.endsWith(".txt")))
  test(`${file}: its tables are listed as they were loaded`, { skip: whyNoKernelTests() ?? false }, async () => {
    for (const lines of linesOf(file)) {
      const text = lines.join("\n");
      const { code, stdout, stderr } = await run("unshare", "-n", "bash", "-ec", `${text}\nnft list ruleset`);
      assert.equal(code, 0, `${stderr}\n${text}`);
      const chains = (all: string) => all.match(/chain \w+/g)?.toSorted();
      assert.deepEqual(chains(stdout), chains(text));
    }
  });
