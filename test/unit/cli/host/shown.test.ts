// How `weft host show` shows the devices that lead to physical networks, and what `weft host set` must be told of them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const cli = new CommandLine();
const host = (line: string) => cli.weft(["host", ...line.split(" ")]);

before(async () => {
  await cli.open();
  for (const name of ["lan", "dmz", "far"]) await cli.weft(["physical", "create", name]);
  const devices = [
    { name: "eth1", mtu: 1500 },
    { name: "eth2", mtu: 1500, down: true },
  ];
  const physical = [
    { name: "lan", device: "eth1" },
    { name: "far", device: "eth9" },
  ];
  const claim = { host: "h1", underlay: "192.168.66.11", underlayMtu: 1500, hostPrefixes: [], devices, physical };
  await cli.control.join(claim, "j".repeat(40));
});
after(() => cli.close());

const shown = async () => (await host("show h1")).stdout.match(/(?<=^Physical network: +)\S.*$/gm);

test("each physical network has a line: its device, the state of that, and who said it", async () => {
  assert.deepEqual(await shown(), ["far=eth9, missing", "lan=eth1"]);
  assert.equal((await host("set h1 --physical lan=eth2 --physical dmz=eth1 --take-over")).code, 0);
  assert.equal((await host("set h1 --physical far=none")).code, 0);
  assert.deepEqual(await shown(), [
    "dmz=eth1, may be taken over (set here)",
    "far=none (set here; the agent says eth9)",
    "lan=eth2, down, may be taken over (set here; the agent says eth1)",
  ]);
});

test("--take-over without a device that it is said of is refused with what to add", async () => {
  for (const line of [
    "set h1 --take-over",
    "set h1 --physical none --take-over",
    "set h1 --physical lan=none --take-over",
  ]) {
    const { code, stderr } = await host(line);
    assert.equal(code, 2, line);
    assert.match(stderr, /--take-over needs --physical.*weft host set h1 --physical NAME=DEVICE --take-over/s, line);
  }
  assert.match((await host("set h1")).stderr, /no change is given.*weft host set --help/s);
});
