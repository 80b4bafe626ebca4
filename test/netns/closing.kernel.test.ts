// Which of two tunnels gets what goes to all is exchanged some thousand times a second while broadcasts pass: each
// leaves by one of them, exactly once. (Where each copy of a frame asked the set, 7 of 10,000 were lost or doubled.)
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { elementText } from "../../src/datapath/kinds/tables.ts";
import { type TwoTunnels, closedElements, closingChains } from "../../src/datapath/policy/closing.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { must, run } from "./lab/cluster.ts";
import { Interface } from "./lab/interface.ts";

const NS = `closing-${process.pid}`;
const FRAMES = 30_000;
const way = (tunnelPort: number, alternate: boolean) =>
  ({
    vrf: { name: "blue", spec: { tunnelPort, alternate } },
    network: { name: "n", spec: { driver: "vxlan", vni: 7 } },
  }) as unknown as TwoTunnels[0];
const WAYS: TwoTunnels = [way(4789, false), way(8472, true)];
const TUNNELS = ["wx7", "wx7b"] as const;

describe("two tunnels of a bridge, of which one is closed", { skip: whyNoKernelTests() ?? false }, () => {
  after(() => run("ip", "netns", "delete", NS));

  test("a broadcast leaves by exactly one, whenever they are exchanged", async () => {
    await must("ip", "netns", "add", NS);
    await must("ip", "-n", NS, "link", "add", "wb-n", "type", "bridge");
    for (const port of [...TUNNELS, "source"]) {
      await must("ip", "-n", NS, "link", "add", port, "type", "veth", "peer", "name", `${port}-end`);
      await must("ip", "-n", NS, "link", "set", port, "master", "wb-n", "up");
      await must("ip", "-n", NS, "link", "set", `${port}-end`, "up");
    }
    await must("ip", "-n", NS, "link", "set", "wb-n", "up");
    const [first, second] = WAYS.map(({ vrf, ...rest }) => elementOf({ vrf, ...rest }));
    await must("ip", "netns", "exec", NS, "nft", `table bridge weft { ${closingChains([WAYS], [])} }`);
    await must("ip", "netns", "exec", NS, "nft", `add element bridge weft closed { ${first} }`);
    const over = (from = "", to = "") =>
      `delete element bridge weft closed { ${from} }\nadd element bridge weft closed { ${to} }\n`;
    const exchange = join(import.meta.dirname, "lab/exchange.ts");
    const changing = spawn("setpriv", [
      "--pdeathsig",
      "KILL",
      process.execPath,
      exchange,
      NS,
      over(first, second),
      over(second, first),
    ]);
    const heard = [new Map<string, number>(), new Map<string, number>()] as const;
    const [source, ...ends] = await Promise.all(
      ["source-end", ...TUNNELS.map((name) => `${name}-end`)].map((name) => Interface.in(NS, name)),
    );
    assert(source !== undefined);
    try {
      await once(changing.stdout, "data");
      for (let n = 0; n < FRAMES; n++) {
        while (!source.send(frame(n)));
        if (n % 50 === 49) for (const [i, end] of ends.entries()) count(end, heard[i] ?? assert.fail());
      }
      for (const [i, end] of ends.entries()) count(end, heard[i] ?? assert.fail());
    } finally {
      changing.kill();
      for (const one of [source, ...ends]) one.close();
    }
    assert.equal(changing.exitCode, null, "it has exchanged them to the end");
    const times = Array.from({ length: FRAMES }, (_, n) => heard.reduce((sum, one) => sum + (one.get(tag(n)) ?? 0), 0));
    const [lost, doubled] = [times.filter((many) => many === 0), times.filter((many) => many > 1)];
    assert.deepEqual({ lost: lost.length, doubled: doubled.length }, { lost: 0, doubled: 0 });
    for (const one of heard) assert.ok(one.size > FRAMES / 100, `both were open: ${one.size} of ${FRAMES}`);
  });
});

function elementOf(one: TwoTunnels[0]): string {
  return closedElements(one.vrf, one, []).map(elementText).join();
}

const tag = (n: number) => `<${String(n).padStart(6, "0")}>`;

function frame(n: number): Buffer {
  return Buffer.concat([Buffer.from(`ffffffffffff02000000000188b5`, "hex"), Buffer.from(tag(n).padEnd(50))]);
}

function count(end: Interface, into: Map<string, number>): void {
  for (const text of end.framesWith("<")) {
    const [found = ""] = /<\d{6}>/.exec(text) ?? [];
    into.set(found, (into.get(found) ?? 0) + 1);
  }
  end.forget();
}
