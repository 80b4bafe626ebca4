// Routing domains and what a network has by default, set by flags and taken back, against a real server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(() => line.open());
after(() => line.close());

type Printed = { readonly spec: Readonly<Record<string, unknown>> };

async function ran(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await line.weft(words);
  assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
  return stdout + stderr;
}

test("a VRF by flags: made, changed, deleted with its networks only by force", async () => {
  await ran("vrf", "create", "red", "--tunnel-port", "4790", "--vni", "77", "--vtep-subnet", "198.18.4.0/24");
  assert.equal((await line.weft(["vrf", "create", "red"])).code, 4);
  await ran("network", "create", "n", "--subnet", "10.1.0.0/16", "--host-prefix", "24", "--vrf", "red");
  assert.match(
    await ran("vrf", "edit", "red", "--host-access", "--tunnel-port", "4791"),
    /tunnelPort, hostAccess|hostAccess/,
  );
  const { spec } = await line.json<Printed>("vrf", "show", "red");
  assert.deepEqual([spec["tunnelPort"], spec["vni"], spec["hostAccess"], spec["kept"]], [4791, 77, true, true]);
  await ran("vrf", "edit", "red", "--no-host-access");
  assert.equal((await line.json<Printed>("vrf", "show", "red")).spec["hostAccess"], false);
  assert.equal((await line.weft(["vrf", "edit", "red"])).code, 2);
  assert.equal((await line.weft(["vrf", "delete", "red"])).code, 4);
  assert.equal((await line.weft(["vrf", "delete", "red", "--force"])).code, 2, "nobody is there to ask");
  await ran("vrf", "delete", "red", "--force", "--yes");
  assert.equal((await line.weft(["network", "show", "n"])).code, 3);
});

test("a network that does not use the tunnel port of its VRF is not edited by it", async () => {
  const byOvs = ["--driver", "ovs", "--placement", "own"];
  await ran("network", "create", "sw", "--subnet", "10.3.0.0/16", ...byOvs);
  const { code, stderr } = await line.weft(["network", "edit", "sw", "--tunnel-port", "8472"]);
  assert.equal(code, 2);
  assert.match(stderr, /"sw" does not use the tunnel port of VRF "sw".*UDP port 4790.*weft vrf edit sw/s);
  await ran("vrf", "edit", "sw", "--tunnel-port", "8472");
  assert.equal((await line.json<Printed>("vrf", "show", "sw")).spec["tunnelPort"], 8472);
});

test("what was set on a network goes back to its default", async () => {
  const set = ["--mtu", "1400", "--dns", "10.2.0.1", "--dns", "fd00::1", "--description", "x", "--sticky"];
  await ran("network", "create", "back", "--subnet", "10.2.0.0/16", ...set);
  await ran("network", "edit", "back", "--mtu", "auto", "--dns", "none", "--description", "", "--no-sticky");
  const { spec } = await line.json<Printed>("network", "show", "back");
  assert.deepEqual(
    [spec["mtu"], spec["dns"], spec["description"], spec["sticky"]],
    [undefined, undefined, undefined, false],
  );
  assert.equal((await line.weft(["network", "edit", "back", "--dns", "none", "--dns", "10.2.0.1"])).code, 2);
});

test("a network on all hosts says which of them are left out, and why", async () => {
  await line.joinHost("h1", "192.0.2.1");
  await line.joinHost("h2", "192.0.2.2");
  await ran("physical", "create", "lan");
  await ran("host", "set", "h1", "--physical", "lan=eth1");
  const words = ["--driver", "bridge", "--parent", "lan", "--subnet", "10.3.0.0/24", "--hosts", "*", "--isolated"];
  await ran("network", "create", "island", ...words);
  const shown = await ran("network", "show", "island");
  assert.match(shown, /Hosts: +all\n.*Left out: +h2: no device of it leads to physical network "lan"\n/);
  assert.match(shown, /Isolated: +an island/);
  assert.doesNotMatch(shown, /Left out: +h1|\nh2 /);
  assert.match(shown, /\nh1 /);
  const written = await line.weft(["network", "export", "island", "--as", "netplan", "--host", "h1"]);
  assert.match(written.stderr, /its bridge is plugged into another/);
  await ran("network", "edit", "island", "--no-isolated");
  assert.equal((await line.json<Printed>("network", "show", "island")).spec["isolated"], undefined);
});

test("an edit of one host's address leaves those of other hosts, and says what became of it", async () => {
  for (const [i, host] of ["g1", "g2", "g3"].entries()) await line.joinHost(host, `192.0.2.1${i}`);
  const addresses = async () => {
    const { spec } = await line.json<Printed>("network", "show", "mgmt");
    const [list, allocated] = [spec["hostAddresses"], spec["allocatedAddresses"]];
    const all = (list === "auto" ? allocated : list) as readonly { host: string; address: string }[];
    return Object.fromEntries(all.map(({ host, address }) => [`${host} ${address.includes(":") ? 6 : 4}`, address]));
  };
  const edit = (...words: readonly string[]) => {
    return ran("network", "edit", "mgmt", ...words.flatMap((word) => ["--host-address", word]));
  };
  const subnets = ["--subnet", "10.29.0.0/24", "--subnet", "fd29::/64"];
  const where = ["--ipam", "global", "--placement", "host", "--hosts", "g1", "--hosts", "g2", "--host-address", "auto"];
  await ran("network", "create", "mgmt", ...subnets, ...where);
  const auto = await addresses();
  assert.deepEqual(Object.keys(auto).sort(), ["g1 4", "g1 6", "g2 4", "g2 6"]);
  assert.match(
    await edit("g1=10.29.0.77"),
    /\n {2}host addresses: g1 10\S+, .* -> g1 10\.29\.0\.77\/24, g1 fd29\S+, g2 /,
  );
  assert.deepEqual(await addresses(), { ...auto, "g1 4": "10.29.0.77/24" });
  await edit("g3=fd29::77");
  assert.deepEqual(await addresses(), { ...auto, "g1 4": "10.29.0.77/24", "g3 6": "fd29::77/64" });
  assert.match(await edit("g2=none", "g3=10.29.0.78"), /host addresses: .*g2 .* -> g1 [^\n]*g3 fd29::77\/64\n/);
  const three = { "g1 4": "10.29.0.77/24", "g1 6": auto["g1 6"], "g3 4": "10.29.0.78/24", "g3 6": "fd29::77/64" };
  assert.deepEqual(await addresses(), three);
  assert.match(await edit("none"), /host addresses: g1 .* -> none\n/);
  assert.match(await ran("network", "edit", "mgmt", "--hosts", "g1"), /\n {2}hosts: g1, g2 -> g1\n/);
});
