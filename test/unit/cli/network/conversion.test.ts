// What the CLI says while a network or VRF is converted, against a real server whose hosts do not follow.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const line = new CommandLine();
before(async () => {
  await line.open();
  for (const n of [1, 2]) await line.joinHost(`h${n}`, `192.0.2.${n}`);
});
after(() => line.close());

async function ran(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await line.weft(words);
  assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
  return stdout + stderr;
}

/** A network with an endpoint, so that its frames change in phases. */
async function used(name: string, subnet: string, ...more: readonly string[]): Promise<void> {
  await ran("network", "create", name, "--subnet", subnet, "--ipam", "global", ...more);
  await attach(name, "h1");
}

const attach = (network: string, host: string) => {
  const claim = { network, host, owner: `w-${network}`, ifname: "eth0", netns: `/var/run/netns/w-${network}` };
  return line.control.write({ verb: "attach", claim, by: { role: "host", host } });
};

test("a network that is converted shows what still counts and what comes, and whom it waits for", async () => {
  await used("lab", "10.7.0.0/24", "--vni", "4097", "--mtu", "1450");
  await ran("network", "edit", "lab", "--vni", "5000");
  assert.match(await ran("network", "show", "lab"), /VNI: +4097, changing to 5000 \(phase receive\)\n/);
  assert.match(await ran("network", "show", "lab"), /MTU: +1450\n/);
  assert.match(await ran("network", "list"), /lab .*4097 to 5000/);
  type Waiting = { readonly name: string; readonly waitsFor: readonly { readonly host: string }[] };
  const [one] = await line.json<readonly Waiting[]>("network", "conversion", "list");
  assert.deepEqual([one?.name, one?.waitsFor.map(({ host }) => host)], ["lab", ["h1"]]);
});

test("so does a VRF, and each network of it", async () => {
  await used("red", "10.8.0.0/24");
  const edited = await ran("vrf", "edit", "red", "--tunnel-port", "8472");
  const told = "conversion red: tunnelPort 4789 to 8472; no packet is lost, hosts go through receive, send\\n";
  assert.match(edited, new RegExp(`^VRF red changed at revision \\d+: tunnelPort\\n${told}$`));
  const change = /Tunnel: +VXLAN, UDP port \d+, changing to VXLAN, UDP port 8472 \(phase receive\)\n/;
  assert.match(await ran("vrf", "show", "red"), change);
  assert.match(await ran("network", "show", "red"), change);
});

test("what a file begins is told of, and waited for", async () => {
  await used("green", "10.9.0.0/24", "--vni", "4300");
  const file = JSON.stringify({
    kind: "network",
    name: "green",
    spec: { subnets: [{ cidr: "10.9.0.0/24" }], vni: 4301 },
  });
  const words = ["apply", "-f", "-"];
  const dry = await line.weft([...words, "--dry-run"], { input: file });
  assert.doesNotMatch(dry.stderr, /conversion/);
  const begun = await line.weft(words, { input: file });
  assert.match(begun.stderr, /^applied at revision \d+\nconversion green: vni 4300 to 4301; no packet is lost/);
  const { code, stderr } = await line.weft(["network", "edit", "green", "--vni", "4301", "--wait=1"]);
  assert.match(stderr, /green: nothing to change.*\nconversion green: vni 4300/);
  assert.match(stderr, /gave up after 1 s waiting for conversion green, phase receive/);
  assert.notEqual(code, 0);
});

test("an edit names what differs, and without a conversion waits for the hosts", async () => {
  await ran("network", "create", "far", "--subnet", "10.10.0.0/24", "--ipam", "global", "--peers", "multicast");
  const edited = await ran("network", "edit", "far", "--peers", "unicast", "--description", "");
  assert.match(edited, /^network far changed at revision \d+: peers, group\n$/);
  const { stderr } = await line.weft(["vrf", "edit", "far", "--vni", "4400", "--wait=1"]);
  assert.match(stderr, /^VRF far changed at revision \d+: vni\n/);
  assert.match(stderr, /gave up after 1 s waiting for a host that reports/);
});

test("a refused edit says which flag to add, not to leave out what was not given", async () => {
  await ran("physical", "create", "lan");
  await ran("network", "create", "plain", "--subnet", "10.11.0.0/24", "--ipam", "global");
  const { stderr } = await line.weft("network edit plain --driver vlan --parent lan --vlan 7".split(" "));
  assert.match(stderr, /does not masquerade.*do +set masquerade to false \(--no-masquerade\)/s);
  await ran("network", "create", "many", "--subnet", "10.12.0.0/24", "--ipam", "global", "--peers", "multicast");
  const gre = await line.weft("network edit many --driver gre".split(" "));
  assert.match(gre.stderr, /do +set peers to unicast \(--peers unicast\)/);
});

test("a forward delay is shown where it has an effect", async () => {
  const words = ["--subnet", "10.13.0.0/24", "--ipam", "global", "--placement", "host", "--forward-delay", "4"];
  await ran("network", "create", "tree", ...words);
  assert.doesNotMatch(await ran("network", "show", "tree"), /forward delay/);
  await ran("network", "edit", "tree", "--stp");
  assert.match(await ran("network", "show", "tree"), /Spanning tree: +on, forward delay 4 s\n/);
});
