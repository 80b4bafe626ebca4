// `weft import ifupdown|netplan|networkd`: files of several hosts, at once and one after another, become networks, and
// what is exported from these is the same again.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";
import { rackspaceStanzas } from "../../../netns/lab/recipe.ts";

const cli = new CommandLine();

/** The published recipe on host n: 172.29.236.0/22 on VNI 236. */
function recipe(n: number, changes: (text: string) => string = (text) => text): string {
  const path = join(cli.folder, `interfaces${n}-${Math.trunc(performance.now() * 1000)}`);
  const text = `auto lo
iface lo inet loopback

auto eth2
iface eth2 inet static
    address 192.168.66.1${n}/24

${rackspaceStanzas(`address 172.29.236.1${n}`, "netmask 255.255.252.0", "offload-sg off")}`;
  writeFileSync(path, changes(text));
  return path;
}

type Network = { readonly name: string; readonly spec: Readonly<Record<string, unknown>> };
const network = async (name: string) => (await cli.json<Network>("network", "show", name)).spec;

before(async () => {
  await cli.open();
  for (const n of [1, 2, 3]) await cli.joinHost(`h${n}`, `192.168.66.1${n}`);
});
after(() => cli.close());

test("a dry run shows what would change, and the notes; it changes nothing", async () => {
  const { code, stdout, stderr } = await cli.weft(["import", "ifupdown", recipe(1), "--host", "h1", "--dry-run"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /\+ network\/mgmt would be created\n(?: {4}.*\n)* {4}vni: 236\n/);
  assert.match(stdout, / {4}hostAddresses: \[\{"host":"h1","address":"172\.29\.236\.11\/22"\}\]/);
  const file = await cli.weft(["import", "ifupdown", recipe(1), "--host", "h1", "--dry-run", "-o", "yaml"]);
  const applied = await cli.weft(["apply", "-f", "-", "--dry-run"], { input: file.stdout });
  assert.equal(applied.code, 0, applied.stderr);
  assert.match(applied.stdout, /\+ network\/mgmt would be created/);
  assert.match(stderr, /:5: eth2: it stays as it is/);
  assert.match(stderr, /:23: offload-sg off: switches of the device/);
  assert.match(stderr, /:10: br-mgmt: group 239\.0\.0\.236: its last octet is the VNI; Weft would choose the same/);
  assert.match(stderr, /only a dry run/);
  assert.equal((await cli.weft(["network", "show", "mgmt"])).code, 3);
});

test("three hosts' files, two at once and one later, are one network with their addresses", async () => {
  const first = await cli.weft(["import", "ifupdown", `h1=${recipe(1)}`, `h2=${recipe(2)}`]);
  assert.equal(first.code, 0, first.stderr);
  const second = await cli.weft(["import", "ifupdown", "--host", "h3", recipe(3)]);
  assert.equal(second.code, 0, second.stderr);
  const { driver, placement, vni, peers, group, ttl, underlayDevice, bridge, subnets, hostAddresses, masquerade, vrf } =
    await network("mgmt");
  assert.deepEqual(
    { driver, placement, vni, peers, group, ttl, underlayDevice, bridge, subnets, masquerade, vrf },
    {
      driver: "vxlan",
      placement: "host",
      vni: 236,
      peers: "multicast",
      group: "239.0.0.236",
      ttl: 5,
      underlayDevice: "eth2",
      bridge: "br-mgmt",
      subnets: [{ cidr: "172.29.236.0/22", gateway: "none" }],
      masquerade: false,
      vrf: "host",
    },
  );
  assert.deepEqual(hostAddresses, [
    { host: "h1", address: "172.29.236.11/22" },
    { host: "h2", address: "172.29.236.12/22" },
    { host: "h3", address: "172.29.236.13/22" },
  ]);
  const again = await cli.weft(["import", "ifupdown", "--host", "h2", recipe(2)]);
  assert.match(again.stderr, /nothing to change/);
});

test("a file that says another network of the same name is refused with its line, and nothing changes", async () => {
  const before = await network("mgmt");
  const other = recipe(3, (text) => text.replace("id 236", "id 237"));
  const { code, stderr } = await cli.weft(["import", "ifupdown", "--host", "h3", other]);
  assert.equal(code, 2);
  assert.match(stderr, /vni of network mgmt differs/);
  assert.match(stderr, /interfaces3-\d+:10/);
  assert.match(stderr, /it is 237 here, and 236 on the server/);
  assert.deepEqual(await network("mgmt"), before);
});

test("files that differ are told apart by each field, with both values and the lines that say them", async () => {
  const [one, two] = [
    recipe(1),
    recipe(2, (text) =>
      text
        .replace("ttl 5", "ttl 6")
        .replace("bridge_stp off", "bridge_stp on")
        .replace("bridge_fd 0", "bridge_fd 4")
        .replace("239.0.0.236", "239.0.0.99"),
    ),
  ];
  const { code, stderr } = await cli.weft(["import", "ifupdown", `h1=${one}`, `h2=${two}`, "--dry-run"]);
  assert.equal(code, 2);
  const said = (line: number, field: string, here: string, there: string) => {
    const why = `it is ${here} here, and ${there} at ${one}:${line}`;
    assert.ok(stderr.includes(`${two}:${line}: ${field} of network mgmt differs: ${why}`), `${field}\n${stderr}`);
  };
  said(10, "ttl", "6", "5");
  said(10, "group", "239.0.0.99", "239.0.0.236");
  said(17, "stp", "on", "off");
  said(19, "forwardDelay", "4", "0");
});

test("wrong values are one refusal with every line", async () => {
  const wrong = recipe(1, (text) => text.replace("239.0.0.236", "10.0.0.236").replace("ttl 5", "ttl 500"));
  const { code, stderr } = await cli.weft(["import", "ifupdown", "--host", "h1", wrong]);
  assert.equal(code, 2);
  assert.match(stderr, /:10: group 10\.0\.0\.236: this is not a multicast address/);
  assert.match(stderr, /:10: ttl 500: it must be a whole number from 1 to 255/);
});

test("an unknown host, a missing file, and files without a network are refused", async () => {
  const refused = async (...args: readonly string[]) => {
    const { code, stderr } = await cli.weft(["import", ...args]);
    return `${code} ${stderr}`;
  };
  assert.match(await refused("ifupdown", "--host", "h9", recipe(1)), /^3 .*there is no host "h9"/);
  assert.match(await refused("ifupdown", "h9=/etc/x"), /^3 .*there is no host "h9"/);
  assert.match(await refused("netplan", "/nowhere/x.yaml"), /^2 .*cannot be read/);
  const empty = join(cli.folder, "empty");
  writeFileSync(empty, "auto eth0\niface eth0 inet dhcp\n");
  assert.match(await refused("ifupdown", empty), /^2 note: .*addresses by dhcp are not read.*no network that can be/s);
});

test("unicast by networkd, a switched bridge by netplan; the tunnel port of the hosts' namespace follows", async () => {
  await cli.weft(["network", "delete", "mgmt", "--force", "--yes"]);
  const dir = join(cli.folder, "units");
  mkdirSync(dir);
  const unit = (name: string, text: string) => writeFileSync(join(dir, name), text);
  const peers = [12, 13]
    .map((n) => `[BridgeFDB]\nMACAddress=00:00:00:00:00:00\nDestination=192.168.66.${n}\n`)
    .join("");
  unit(
    "vx.netdev",
    "[NetDev]\nName=vx7\nKind=vxlan\nMTUBytes=1400\n[VXLAN]\nVNI=7\nLocal=192.168.66.11\nIndependent=yes\n",
  );
  unit("vx.network", `[Match]\nName=vx7\n[Network]\nBridge=br-uni\n${peers}`);
  unit("vx.link", "[Match]\nOriginalName=vx7\n[Link]\nTransmitChecksumOffload=no\n");
  unit("eth0.link", "[Match]\nMACAddress=02:00:00:00:00:01\n[Link]\nName=eth0\n");
  unit("br.netdev", "[NetDev]\nName=br-uni\nKind=bridge\n[Bridge]\nSTP=yes\nForwardDelaySec=4\n");
  unit("br.network", "[Match]\nName=br-uni\n[Network]\nAddress=10.77.0.1/24\nAddress=fd77::1/64\n");
  const { code, stderr } = await cli.weft(["import", "networkd", `h1=${dir}`]);
  assert.equal(code, 0, stderr);
  const spec = await network("uni");
  const { driver, vni, peers: how, mtu, stp, forwardDelay, bridge, subnets, hostAddresses, offload } = spec;
  assert.deepEqual(
    { driver, vni, how, mtu, stp, forwardDelay, bridge, offload },
    {
      driver: "vxlan",
      vni: 7,
      how: undefined,
      mtu: 1400,
      stp: true,
      forwardDelay: 4,
      bridge: "br-uni",
      offload: "off",
    },
  );
  assert.deepEqual(subnets, [
    { cidr: "10.77.0.0/24", gateway: "none" },
    { cidr: "fd77::/64", gateway: "none" },
  ]);
  assert.deepEqual(hostAddresses, [
    { host: "h1", address: "10.77.0.1/24" },
    { host: "h1", address: "fd77::1/64" },
  ]);
  // Without DestinationPort= the kernel takes its own.
  assert.equal((await cli.json<Network>("vrf", "show", "host")).spec["tunnelPort"], 8472);
});

test("import(export(x)) = x", async () => {
  const before = await network("uni");
  for (const format of ["ifupdown", "ifupdown2", "networkd"] as const) {
    const dir = join(cli.folder, `again-${format}`);
    const out = await cli.weft(["network", "export", "uni", "--as", format, "--host", "h1", "--dir", dir]);
    assert.equal(out.code, 0, out.stderr);
    assert.ok(readdirSync(dir).every((name) => readFileSync(join(dir, name), "utf8").startsWith("# Network uni")));
    const reader = format === "networkd" ? "networkd" : "ifupdown";
    const { code, stderr } = await cli.weft(["import", reader, `h1=${dir}`]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /nothing to change/, format);
  }
  assert.deepEqual(await network("uni"), before);
});

test("what netplan cannot say of a network is no other value; what it says is", async () => {
  const own = ["h1=10.77.0.1/24", "h1=fd77::1/64", "h2=10.77.0.2/24"].flatMap((one) => ["--host-address", one]);
  assert.equal((await cli.weft(["network", "edit", "uni", ...own])).code, 0);
  const before = await network("uni");
  assert.equal(before["offload"], "off");
  const dir = join(cli.folder, "again-netplan");
  const out = await cli.weft(["network", "export", "uni", "--as", "netplan", "--host", "h1", "--dir", dir]);
  assert.match(out.stderr, /checksum/);
  const same = await cli.weft(["import", "netplan", `h1=${dir}`]);
  assert.equal(same.code, 0, same.stderr);
  assert.equal((await network("uni"))["offload"], "off");
  const [file = ""] = readdirSync(dir);
  writeFileSync(join(dir, file), readFileSync(join(dir, file), "utf8").replace("id: 7", "id: 8"));
  const other = await cli.weft(["import", "netplan", `h1=${dir}`]);
  assert.match(other.stderr, /vni of network uni differs/);
  writeFileSync(
    join(dir, file),
    readFileSync(join(dir, file), "utf8").replace(/id: 8(.*)port: 8472/s, "id: 7$1port: 4789"),
  );
  const port = await cli.weft(["import", "netplan", `h1=${dir}`]);
  assert.match(port.stderr, /port 4789 .*the port of network uni is 8472/s, "h2 goes on with it");
});

test("an address of one host, in a file of none, is refused with its line; without one it is of all", async () => {
  const path = recipe(1, (text) => text.replaceAll("mgmt", "nobody"));
  const refused = await cli.weft(["import", "ifupdown", path]);
  assert.equal(refused.code, 2, refused.stdout);
  assert.match(refused.stderr, /br-nobody: 172\.29\.236\.11\/22/);
  assert.match(refused.stderr, /it is the address of one host: say which one with --host h1/);
  assert.equal((await cli.weft(["network", "show", "nobody"])).code, 3);
  const plain = recipe(1, (text) =>
    text
      .replaceAll("mgmt", "any")
      .replace("dstport 4789", "")
      .replace(/ {4}(address 172|netmask 255.255.252).*\n/g, ""),
  );
  const taken = await cli.weft(["import", "ifupdown", plain, "--dry-run"]);
  assert.equal(taken.code, 0, taken.stderr);
});

test("VLANs by netplan: the physical network is called as the first host's device", async () => {
  const files = ["eth1", "enp3s0"].map((device, i) => {
    const path = join(cli.folder, `vlan${i}.yaml`);
    const outer = `    ${device}.7: {id: 7, link: ${device}}\n    v8: {id: 8, link: ${device}.7}\n`;
    const bridges = "    br-flat: {interfaces: [v100]}\n    br-inner: {interfaces: [v8]}\n";
    const vlans = `    v100: {id: 100, link: ${device}}\n${outer}`;
    writeFileSync(path, `network:\n  ethernets: {${device}: {}}\n  vlans:\n${vlans}  bridges:\n${bridges}`);
    return `h${i + 1}=${path}`;
  });
  const { code, stderr } = await cli.weft(["import", "netplan", ...files]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /next: weft host set h1 --physical eth1=eth1\n.*next: weft host set h2 --physical eth1=enp3s0/s);
  assert.equal(stderr.match(/next: weft host set h1 /g)?.length, 1, "two networks, one device");
  const flat = await network("flat");
  assert.deepEqual([flat["driver"], flat["parent"], flat["vlan"], flat["hosts"]], ["vlan", "eth1", 100, ["h1", "h2"]]);
  const inner = await network("inner");
  assert.deepEqual([inner["vlan"], inner["outerVlan"], inner["bridge"]], [8, 7, "br-inner"]);
  await cli.weft(["host", "set", "h1", "--physical", "eth1=eth1"]);
  const again = await cli.weft(["import", "netplan", ...files]);
  assert.deepEqual(again.stderr.match(/next: .*/g), ["next: weft host set h2 --physical eth1=enp3s0"], "h1 has it");
});

test("an MTU that the network has by itself is not set by its exported files; another is", async () => {
  const line = "network create sized --ipam global --placement host --subnet 10.45.0.0/24 --gateway none --vni 45";
  await cli.weft([...line.split(" "), "--host-address", "h1=10.45.0.4/24"]);
  const dir = join(cli.folder, "sized");
  await cli.weft(["network", "export", "sized", "--as", "networkd", "--host", "h1", "--dir", dir]);
  const imported = async () => {
    const { code, stderr } = await cli.weft(["import", "networkd", "--host", "h1", dir]);
    assert.equal(code, 0, stderr);
    return (await network("sized"))["mtu"];
  };
  assert.equal(await imported(), undefined);
  for (const file of readdirSync(dir).filter((name) => name.endsWith(".netdev"))) {
    const text = readFileSync(join(dir, file), "utf8");
    writeFileSync(join(dir, file), text.replace("MTUBytes=1450", "MTUBytes=1400"));
  }
  assert.equal(await imported(), 1400);
});

test("a host that has the address already may have it in the network; another may not", async () => {
  await cli.control.join(
    { host: "h4", underlay: "192.168.66.14", underlayMtu: 1500, hostPrefixes: ["10.44.0.0/24"] },
    "j".repeat(40),
  );
  const create = (host: string) => {
    const line = "network create own --ipam global --placement host --subnet 10.44.0.0/24 --gateway none --vni 44";
    return cli.weft([...line.split(" "), "--host-address", `${host}=10.44.0.4/24`]);
  };
  assert.match((await create("h1")).stderr, /overlaps host "h4" \(10\.44\.0\.0\/24\)/);
  const { code, stderr } = await create("h4");
  assert.equal(code, 0, stderr);
});

test("links that lead in circles or nowhere, pipes, devices, folders and huge files are refused at once", async () => {
  const dir = join(cli.folder, "odd");
  mkdirSync(dir);
  const at = (name: string) => join(dir, name);
  symlinkSync(at("b"), at("a"));
  symlinkSync(at("a"), at("b"));
  symlinkSync(at("nothing"), at("dangling"));
  execFileSync("mkfifo", [at("pipe")]);
  mkdirSync(at("folder"));
  writeFileSync(at("huge"), "");
  truncateSync(at("huge"), 1_000_000_000);
  symlinkSync("/dev/zero", at("zeros"));
  symlinkSync(recipe(1), at("good"));
  const refusedFor = async (name: string) => {
    writeFileSync(at("interfaces"), `source ${at(name)}\n`);
    const { code, stderr } = await cli.weft(["import", "ifupdown", at("interfaces"), "--host", "h1", "--dry-run"]);
    return `${code} ${stderr}`;
  };
  assert.match(await refusedFor("a"), /^2 .*odd\/a cannot be read .*ELOOP/s);
  assert.match(await refusedFor("dangling"), /^2 .*cannot be read .*there is no such file/s);
  assert.match(await refusedFor("pipe"), /^2 .*pipe cannot be read .*it is no plain file/s);
  assert.match(await refusedFor("zeros"), /^2 .*zeros cannot be read .*it is no plain file/s);
  assert.match(await refusedFor("huge"), /^2 .*huge cannot be read .*it is larger than 16777216 bytes/s);
  assert.match(await refusedFor("folder"), /^2 .*no network that can be imported/s);
  assert.doesNotMatch(await refusedFor("good"), /cannot be read/);
});

test("what the server refuses is said with the file and line, and the field; of physical networks, too", async () => {
  const office = ["network", "create", "office", "--driver", "bridge", "--parent", "lan", "--subnet", "10.66.0.0/24"];
  for (const words of [["physical", "create", "lan"], ["host", "set", "h1", "--physical", "lan=eth5"], office]) {
    const { code, stderr } = await cli.weft(words);
    assert.equal(code, 0, stderr);
  }
  const write = (name: string, text: string) => {
    const path = join(cli.folder, name);
    writeFileSync(path, text);
    return path;
  };
  const overlapping = write(
    "overlapping",
    "auto lo\n\niface br-x inet static\n    bridge_ports none\n    address 10.66.0.7/24\n",
  );
  const refused = await cli.weft(["import", "ifupdown", "--host", "h1", overlapping]);
  assert.notEqual(refused.code, 0);
  assert.match(
    refused.stderr,
    /overlaps network "office"[^\n]*\n +where +\S+overlapping:3: network\/x, subnets\[0\]\.cidr\n/,
  );
  // The device leads to lan already, whose frames without a tag are another network's.
  const onDevice = write("onDevice", "iface br-y inet static\n    bridge_ports eth5\n    address 10.67.0.7/24\n");
  const second = await cli.weft(["import", "ifupdown", "--host", "h1", onDevice]);
  assert.match(
    second.stderr,
    /of physical network "lan" belong to network\/office[^\n]*\n +where +\S+onDevice:1: network\/y/,
  );
  const { code, stderr } = await cli.weft(["network", "delete", "office", "--yes"]);
  assert.equal(code, 0, stderr);
  const third = await cli.weft(["import", "ifupdown", "--host", "h1", onDevice]);
  assert.equal(third.code, 0, third.stderr);
  assert.equal((await network("y"))["parent"], "lan");
  assert.doesNotMatch(third.stderr, /weft host set/);
});
