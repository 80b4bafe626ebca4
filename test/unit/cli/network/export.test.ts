// `weft network export --as`: files of a network, printed or written, on hosts with and without endpoints of it.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";
import { asFolder, read } from "../../formats/memoryFiles.ts";

const cli = new CommandLine();
const folder = (name: string) => join(cli.folder, name);

before(async () => {
  await cli.open();
  for (const [i, host] of ["h1", "h2", "h3"].entries()) await cli.joinHost(host, `192.168.66.1${i + 1}`);
  for (const line of [
    "network create lab --ipam global --subnet 10.8.0.0/24 --gateway none --vni 7 --no-masquerade",
    "network create blue --subnet 10.7.0.0/16 --host-prefix 24",
    "network create green --driver gre --ipam global --subnet 10.9.0.0/24 --vni 9",
  ])
    assert.equal((await cli.weft(line.split(" "))).code, 0, line);
});
after(() => cli.close());

async function exported(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await cli.weft(["network", "export", ...args]);
  assert.equal(code, 0, stderr);
  return stdout;
}

test("a switched network: a device that learns, and every other host in its flood list", async () => {
  const text = await exported("lab", "--as", "ifupdown", "--host", "h1");
  assert.match(text, /^# Network lab on host h1, as Weft had it at revision \d+\.\n/);
  assert.match(text, /# Not in it: endpoints, security groups, spoofing filters, limits, masquerading\./);
  const { links, problems, notes } = read("ifupdown", { text });
  assert.deepEqual([...problems, ...notes], []);
  assert.deepEqual(links["wx7"], {
    kind: "vxlan",
    mtu: 1450,
    master: "wb-lab",
    addresses: [],
    routes: [],
    neighbours: [],
    vni: 7,
    port: 4789,
    learning: true,
    remotes: ['"192.168.66.12"', '"192.168.66.13"'],
    fdb: [],
    local: "192.168.66.11",
  });
  const bridge = links["wb-lab"] as { readonly kind: string; readonly mtu: number; readonly addresses: object };
  assert.deepEqual([bridge.kind, bridge.mtu, bridge.addresses], ["bridge", 1450, []]);
});

test("every format says the same network", async () => {
  const [one, ...others] = await Promise.all(
    ["ifupdown", "ifupdown2", "networkd"].map(async (format) => {
      const dir = folder(format);
      await exported("green", "--as", format, "--host", "h2", "--dir", dir);
      const files = readdirSync(dir).map((path) => ({ path, text: readFileSync(join(dir, path), "utf8") }));
      return read(format === "networkd" ? "networkd" : "ifupdown", asFolder(files), ["/x"]).links;
    }),
  );
  assert.deepEqual(Object.keys(one ?? {}), ["gt9-1", "gt9-3", "wb-green"]);
  for (const other of others) assert.deepEqual(other, one);
  assert.equal((one?.["gt9-1"] as { readonly isolated?: true } | undefined)?.isolated, true);
});

test("netplan says what it lacks, and others may not read its file", async () => {
  const dir = folder("plan");
  const { code, stderr } = await cli.weft([..."network export lab --as netplan --host h1 --dir".split(" "), dir]);
  assert.equal(code, 0);
  assert.match(stderr, /note: h1: wx7: netplan can name one remote host, not 2/);
  assert.match(stderr, /wrote .*60-weft-lab\.yaml/);
  assert.equal(statSync(join(dir, "60-weft-lab.yaml")).mode & 0o777, 0o600);
});

test("without a host: a folder for each; iproute2 is a program and its unit", async () => {
  const dir = folder("all");
  const { stderr } = await cli.weft(["network", "export", "lab", "--as", "iproute2", "--dir", dir]);
  for (const host of ["h1", "h2", "h3"])
    assert.ok(stderr.includes(`next: copy what is in ${dir}/${host} to /etc/weft/export on host ${host}\n`), stderr);
  assert.deepEqual(readdirSync(dir).sort(), ["h1", "h2", "h3"]);
  assert.deepEqual(readdirSync(join(dir, "h1")).sort(), ["weft-lab.service", "weft-lab.sh"]);
  assert.equal(statSync(join(dir, "h1/weft-lab.sh")).mode & 0o777, 0o755);
});

test("a routed network: routes to the blocks of others, and their next hops", async () => {
  const text = await exported("blue", "--as", "networkd", "--host", "h1");
  assert.match(text, /net\.ipv4\.ip_forward=1/);
  assert.match(text, /# --- \/etc\/systemd\/network\/50-weft-blue-wb-blue\.network/);
});

test("on a physical network: nothing is forwarded here, and a host without a device to it is told so", async () => {
  for (const line of [
    "physical create lan",
    "network create flat --driver vlan --parent lan --vlan 5 --subnet 10.5.0.0/24 --gateway 10.5.0.1 --hosts h1",
  ])
    assert.equal((await cli.weft(line.split(" "))).code, 0, line);
  const { stdout, stderr } = await cli.weft("network export flat --as ifupdown --host h1".split(" "));
  assert.match(stdout, /bridge_ports none/);
  assert.doesNotMatch(stdout, /ip_forward/);
  assert.match(stderr, /the bridge has no port: no device of host h1 leads to physical network lan.*weft host set h1/);
});

test("what is misused or cannot be is refused", async () => {
  const refused = async (...args: readonly string[]) => {
    const { code, stderr } = await cli.weft(["network", "export", ...args]);
    return `${code} ${stderr}`;
  };
  assert.match(await refused("lab", "--as", "ifupdown"), /^2 .*files differ from host to host/);
  assert.match(await refused("lab", "--as", "ifupdown", "--host", "h9"), /^3 .*there is no host "h9"/);
  assert.match(await refused("nil", "--as", "ifupdown", "--host", "h1"), /^3 .*nil/);
  assert.match(await refused("lab", "--as", "xml"), /^2 .*Allowed choices are ifupdown/s);
  assert.match(await refused("lab", "--as", "ifupdown", "--cni"), /^2 .*--cni is not for --as/);
  assert.match(await refused("lab", "--cni", "--dir", "/nowhere"), /^2 .*--dir is not for --cni/);
  assert.match(await refused("lab"), /^2 .*give --cni, or --as/s);
  assert.match(
    await refused("lab", "--as", "ifupdown", "--host", "h1", "--dir", `${cli.folder}/admin.token`),
    /^2 .*cannot be written/,
  );
});
