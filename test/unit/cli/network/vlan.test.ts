// Bad VLANs, as the command line and the API refuse them: with reason and place, and nothing is changed.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { closeAll, isProblem, open } from "../../api/lab.ts";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(() => line.open());
after(async () => {
  await line.close();
  await closeAll();
});

const OFFICE = { driver: "vlan", parent: "lan", subnets: [{ cidr: "10.21.0.0/24" }] };
/** What is wrong, as a flag and as a field; the reason and what it says. */
const BAD = [
  [["--vlan", "0"], { vlan: 0 }, "vlan-invalid", /expected at least 1, got 0/],
  [["--vlan", "4095"], { vlan: 4095 }, "vlan-invalid", /expected at most 4094, got 4095/],
  [["--vlan", "5000"], { vlan: 5000 }, "vlan-invalid", /expected at most 4094, got 5000/],
  [["--outer-vlan", "4095", "--vlan", "5"], { outerVlan: 4095, vlan: 5 }, "vlan-invalid", /4094, got 4095/],
  [["--vlan", "abc"], { vlan: "abc" }, "request-invalid", /abc/],
  [["--mtu", "1501"], { mtu: 1501 }, "mtu-invalid", /does not fit through the physical network "lan"/],
  [["--vlan", "100"], { vlan: 100 }, "vlan-taken", /VLAN 100 of physical network "lan" belongs to network\/taken/],
  [["--parent", "wan"], { parent: "wan" }, "physical-unknown", /there is no physical network "wan"/],
] as const;

test("the command line refuses them", async () => {
  const weft = async (...args: string[]) => (await line.weft(args)).code;
  const create = (name: string, ...more: readonly string[]) =>
    line.weft(["network", "create", name, "--driver", "vlan", "--subnet", "10.21.0.0/24", ...more]);
  assert.equal(await weft("physical", "create", "lan", "--vlans", "200-299", "--mtu", "1500"), 0);
  assert.equal((await create("taken", "--parent", "lan", "--vlan", "100", "--vrf", "host")).code, 0);
  const revision = (await line.control.status()).revision;
  for (const [flags, , , text] of BAD) {
    const parent = flags[0] === "--parent" ? [] : ["--parent", "lan"];
    const { code, stderr } = await create("office", ...parent, ...flags, "--placement", "own");
    assert.notEqual(code, 0, flags.join(" "));
    assert.match(stderr, text, flags.join(" "));
  }
  assert.equal((await line.control.status()).revision, revision);
});

test("the API refuses them", async () => {
  const { ask } = await open();
  assert.equal((await ask("PUT", "/v1/physicalnetworks/lan", { spec: { vlans: ["200-299"], mtu: 1500 } })).status, 201);
  assert.equal((await ask("PUT", "/v1/networks/taken", { spec: { ...OFFICE, vlan: 100 } })).status, 201);
  const before_ = (await ask("GET", "/v1/status")).body.revision;
  for (const [, fields, reason, text] of BAD) {
    const spec = { ...OFFICE, placement: "own", ...fields };
    isProblem(await ask("PUT", "/v1/networks/office", { spec }), reason, text);
  }
  assert.equal((await ask("GET", "/v1/status")).body.revision, before_);
});
