// Networks in the hosts' own namespace, with packets: two hosts share a segment there, and the same filters, groups and
// limits hold as in a namespace of its own. What others have in that namespace (a bridge as Docker makes it, with
// traffic, and tables of their own) is as before, also when the network is gone.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { nftDigest } from "../../src/datapath/kinds/tables.ts";
import type { Op } from "../../src/datapath/state/state.ts";
import { linuxKernel } from "../../src/kernel/linux.ts";
import { Cluster, OUTSIDE, call, must, run, until, type Workload } from "./lab/cluster.ts";
import { dial, Listener } from "./lab/tcp.ts";

const cluster = new Cluster(2);
const inHost = (host: string, ...words: readonly string[]) =>
  run("ip", "netns", "exec", cluster.netnsOf(host), ...words);
const inWorkload = ({ netns }: Workload, ...words: readonly string[]) => run("ip", "netns", "exec", netns, ...words);

const [V4, V6] = [0, 1] as const;
const at = ({ addresses }: Workload, family: 0 | 1) => addresses[family] ?? "";

const listeners: Listener[] = [];
async function serve(netns: string, ...ports: readonly number[]): Promise<void> {
  for (const port of ports) listeners.push(await Listener.in(netns, port, "served"));
}
const answers = async (from: Workload | string, to: string, port: number) =>
  (await dial(typeof from === "string" ? from : from.netns, to, port)) !== "";

let web: Workload;
let db: Workload;
let own: Workload;
let foreign = "";

before(async () => {
  await cluster.open();
  // As Docker makes it: a bridge with a container behind it, and tables that let nobody else forward.
  const host = cluster.netnsOf("h1");
  foreign = await cluster.addWorkloadNetns("foreign");
  await must("ip", "-n", host, "link", "add", "docker0", "type", "bridge");
  await must("ip", "link", "add", "vethd", "netns", host, "type", "veth", "peer", "name", "eth0", "netns", foreign);
  for (const words of [
    ["-n", host, "address", "add", "172.17.0.1/16", "dev", "docker0"],
    ["-n", host, "link", "set", "docker0", "up"],
    ["-n", host, "link", "set", "vethd", "master", "docker0", "up"],
    ["-n", foreign, "address", "add", "172.17.0.2/16", "dev", "eth0"],
    ["-n", foreign, "link", "set", "eth0", "up"],
    ["-n", foreign, "route", "add", "default", "via", "172.17.0.1"],
  ])
    await must("ip", ...words);
  await must(
    "ip",
    "netns",
    "exec",
    host,
    "nft",
    `table ip docker { chain nat { type nat hook postrouting priority srcnat; ip saddr 172.17.0.0/16 masquerade; }; }
     table bridge filter { chain pass { type filter hook forward priority 0; meta mark 0x123 counter; }; }`,
  );
  for (const [name, cidr] of [
    ["lab", "10.7.0.0/16,fd07::/64"],
    ["island", "10.6.0.0/16"],
  ] as const) {
    const subnets = cidr.split(",").flatMap((text) => ["--subnet", text]);
    const gateway = name === "island" ? ["--gateway", "none"] : [];
    const made = await cluster.weft(
      "network",
      "create",
      name,
      "--ipam",
      "global",
      "--placement",
      "host",
      ...subnets,
      ...gateway,
    );
    assert.equal(made.code, 0, made.stderr);
  }
  assert.equal((await cluster.weft("network", "create", "apart", "--subnet", "10.8.0.0/16")).code, 0);
  web = await cluster.attach("h1", "lab", "web");
  db = await cluster.attach("h2", "lab", "db");
  own = await cluster.attach("h1", "apart", "own");
  await cluster.reaches(web, at(db, V4), 3);
});
after(async () => {
  for (const listener of listeners) listener.close();
  await cluster.close();
});

test("two hosts share a segment in their own namespaces, in both families", async () => {
  await cluster.reaches(web, at(db, V6), 3);
  await cluster.reaches(db, at(web, V4), 3);
  await serve(db.netns, 80);
  await until("TCP to the other host", async () => answers(web, at(db, V4), 80));
  const links = (await inHost("h1", "ip", "-br", "link")).stdout;
  assert.match(links, /^wb-lab /m);
  assert.doesNotMatch((await run("ip", "netns", "list")).stdout, new RegExp(`${cluster.id}.*-host\\b`));
});

test("the way out leads outside and not to the host, other hosts or other VRFs", async () => {
  await cluster.reaches(web, OUTSIDE);
  await cluster.reaches(web, "10.7.0.1");
  assert.ok(await cluster.reaches(cluster.netnsOf("h1"), at(web, V4)), "the host reaches its endpoints");
  for (const to of [cluster.underlayOf("h1"), cluster.underlayOf("h2"), at(own, V4), "172.17.0.2"])
    if (to !== "172.17.0.2") assert.equal(await cluster.pings(web, to), false, `web does not reach ${to}`);
  assert.equal(await cluster.pings(own, at(web, V4)), false, "a network with a namespace of its own does not come in");
  assert.equal(await cluster.pings(foreign, at(web, V4)), false, "nor does another program's");
});

test("what others have in the host's namespace is as before", async () => {
  assert.ok(await cluster.reaches(foreign, "172.17.0.1", 3));
  assert.ok(await cluster.reaches(foreign, OUTSIDE, 3));
  const tables = (await inHost("h1", "nft", "list", "tables")).stdout;
  assert.match(tables, /table ip docker\n/);
  assert.match(tables, /table bridge filter\n/);
});

test("networks do not overlap what a host has itself, and Weft's own there is not counted as that", async () => {
  const prefixes = async () => {
    const { hosts } = (await cluster.api("GET", "/v1/status")).body;
    return hosts.find(({ host }: { readonly host: string }) => host === "h1").status.hostPrefixes as string[];
  };
  await until("the host has told of the bridge", async () => (await prefixes()).includes("172.17.0.0/16"));
  assert.ok(!(await prefixes()).some((prefix) => prefix.startsWith("10.7.") || prefix.startsWith("fd07:")));
  const words = "network create clash --ipam global --placement host --subnet 172.17.4.0/24";
  const refused = await cluster.weft(...words.split(" "));
  assert.match(refused.stderr, /172\.17\.4\.0\/24 overlaps host "h1" \(172\.17\..*\)/);
});

test("a bridge of another program keeps its name, and filters of others are told and not changed", async () => {
  const host = cluster.netnsOf("h1");
  const conditions = async () =>
    ((await cluster.status()).hosts.find((one) => one.host === "h1")?.status?.conditions ?? []).join("\n");
  const words = "network create taken --ipam global --placement host --subnet 10.5.0.0/24 --bridge docker0 --hosts h1";
  assert.equal((await cluster.weft(...words.split(" "))).code, 0);
  await until("the host says whose the bridge is", async () =>
    /taken is not on this host.*docker0/.test(await conditions()),
  );
  assert.doesNotMatch((await inHost("h1", "nft", "list", "table", "inet", "weft")).stdout, /docker0/);
  await cluster.reaches(foreign, OUTSIDE, 2);
  const drop = "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }";
  await must("ip", "netns", "exec", host, "nft", drop);
  // What it found of filters it uses for some time; another network is another question.
  assert.equal((await cluster.weft("network", "delete", "taken", "--yes")).code, 0);
  const more = "network create more --ipam global --placement host --subnet 10.5.0.0/24 --hosts h1";
  assert.equal((await cluster.weft(...more.split(" "))).code, 0);
  await until("the host tells of the chain", async () =>
    /chain FORWARD of table ip filter drops/.test(await conditions()),
  );
  assert.equal(await cluster.pings(web, OUTSIDE), false);
  // Until here bridges call the hooks of IP, as in any new namespace where br_netfilter is loaded.
  const calls = await inHost("h1", "sysctl", "-n", "net.bridge.bridge-nf-call-iptables");
  if (calls.stdout.trim() === "1") {
    assert.match(await conditions(), /nor each other, because net\.bridge\.bridge-nf-call-iptables is 1/);
    assert.equal(await cluster.pings(web, at(db, V4)), false, "what stays on the segment passes the chain, too");
    for (const name of cluster.hosts) await inHost(name, "sysctl", "-w", "net.bridge.bridge-nf-call-iptables=0");
  }
  await cluster.reaches(web, at(db, V4), 2);
  await must("ip", "netns", "exec", host, "nft", 'add rule ip filter FORWARD iifname "wb-*" accept');
  await must("ip", "netns", "exec", host, "nft", 'add rule ip filter FORWARD oifname "wb-*" accept');
  await cluster.reaches(web, OUTSIDE);
  await must("ip", "netns", "exec", host, "nft", "delete", "table", "ip", "filter");
  assert.equal((await cluster.weft("network", "delete", "more", "--yes")).code, 0);
});

test("a limit holds", async () => {
  const slow = await cluster.attach("h1", "lab", "slow", { qos: { inbound: { average: "4mbit", burst: 20_000 } } });
  const port = /(wp\S+?)@/.exec((await inHost("h1", "sh", "-c", "ip -o link | grep slow.eth0")).stdout)?.[1] ?? "";
  assert.match((await run("tc", "-n", cluster.netnsOf("h1"), "qdisc", "show", "dev", port)).stdout, /tbf .*rate 4Mbit/);
  await cluster.reaches(web, at(slow, V4));
  // 60 datagrams of 1,400 bytes at once: 672,000 bits, of which the bucket lets 160,000 through at once.
  const flood = await inWorkload(
    web,
    "ping",
    "-n",
    "-q",
    "-f",
    "-c",
    "60",
    "-l",
    "60",
    "-s",
    "1400",
    "-W",
    "2",
    at(slow, V4),
  );
  const took = Number(/time (\d+)ms/.exec(flood.stdout)?.[1]);
  assert.ok(took > 90, flood.stdout);
});

test("spoofed frames are dropped, and the mark of a port stays in its filters", async () => {
  await must("ip", "-n", web.netns, "address", "add", "10.7.99.99/16", "dev", "eth0");
  assert.equal(
    (await inWorkload(web, "ping", "-n", "-q", "-c", "1", "-W", "1", "-I", "10.7.99.99", at(db, V4))).code,
    1,
  );
  await must("ip", "-n", web.netns, "address", "delete", "10.7.99.99/16", "dev", "eth0");
  const { body: metrics } = await call(cluster.agentSocket("h1"), "GET", "/metrics");
  assert.match(metrics, /web\.eth0.*source-address.* [1-9]|source-address.*web\.eth0.* [1-9]/);
  // Of what leaves by the tunnel and of what comes to the host.
  await must(
    "ip",
    "netns",
    "exec",
    cluster.netnsOf("h1"),
    "nft",
    `table inet seen { chain in { type filter hook input priority -200; iifname "wb-lab" meta mark != 0 counter; };
       chain out { type filter hook output priority -200; udp dport 4789 meta mark != 0 counter; }; }`,
  );
  await cluster.reaches(web, at(db, V4), 2);
  await cluster.reaches(web, "10.7.0.1", 2);
  const seen = (await inHost("h1", "nft", "list", "table", "inet", "seen")).stdout;
  assert.equal(seen.match(/packets 0 /g)?.length, 2, seen);
  await must("ip", "netns", "exec", cluster.netnsOf("h1"), "nft", "delete", "table", "inet", "seen");
});

test("groups allow and refuse, also what the host itself begins", async () => {
  const rules = [
    { direction: "in", action: "allow", protocol: "tcp", ports: [80] },
    { direction: "out", action: "allow", protocol: "all" },
  ];
  assert.equal((await cluster.api("PUT", "/v1/securitygroups/web-only", { spec: { rules } })).status, 201);
  const shut = await cluster.attach("h2", "lab", "shut", { securityGroups: ["web-only"] });
  await serve(shut.netns, 80, 81);
  await until("port 80 is open", async () => answers(web, at(shut, V4), 80));
  assert.equal(await answers(web, at(shut, V4), 81), false);
  assert.equal(await cluster.pings(web, at(shut, V4)), false);
  await until("the host reaches port 80", async () => answers(cluster.netnsOf("h2"), at(shut, V4), 80));
  assert.equal(await answers(cluster.netnsOf("h2"), at(shut, V4), 81), false, "the host is judged as others are");
  assert.ok(await cluster.reaches(shut, at(web, V4)), "what it begins is answered");
});

test("drift is repaired, and another program's address on our bridge stays", async () => {
  await must("ip", "-n", cluster.netnsOf("h1"), "address", "add", "10.7.200.1/32", "dev", "wb-lab");
  for (const [what, spoil, isBack] of [
    ["bridge", "ip link delete wb-lab", async () => cluster.pings(web, at(db, V4))],
    [
      "tunnel",
      "ip link delete dev $(ip -o link show type vxlan | grep -o 'wx[0-9]*' | head -1)",
      async () => cluster.pings(web, at(db, V4)),
    ],
    [
      "table",
      "nft delete table bridge weft",
      async () => (await inHost("h1", "nft", "list", "table", "bridge", "weft")).code === 0,
    ],
    [
      "tables",
      "nft delete table inet weft",
      async () => (await inHost("h1", "nft", "list", "table", "inet", "weft")).code === 0,
    ],
    ["address", "ip address delete 10.7.0.1/16 dev wb-lab", async () => cluster.pings(web, "10.7.0.1")],
  ] as const) {
    assert.equal((await inHost("h1", "sh", "-c", spoil)).code, 0, what);
    await until(`${what} is back`, isBack);
    if (what === "bridge")
      await must("ip", "-n", cluster.netnsOf("h1"), "address", "add", "10.7.200.1/32", "dev", "wb-lab");
  }
  await cluster.reaches(web, at(db, V4), 3);
  assert.match((await inHost("h1", "ip", "address", "show", "dev", "wb-lab")).stdout, /10\.7\.200\.1\/32/);
});

test("a host has an address of its own on a bridge of a given name, which runs the spanning tree", async () => {
  const words = "network create mgmt --ipam global --placement host --subnet 172.29.236.0/22 --bridge br-mgmt";
  const made = await cluster.weft(...`${words} --host-address auto --stp --forward-delay 2`.split(" "));
  assert.equal(made.code, 0, made.stderr);
  await cluster.converged();
  const [one, two] = ["172.29.236.1", "172.29.236.2"];
  const [h1, h2] = cluster.hosts.map((host) => cluster.netnsOf(host));
  assert.ok(h1 !== undefined && h2 !== undefined);
  await cluster.reaches(h1, two, 2);
  const near = await cluster.attach("h1", "mgmt", "near");
  for (const to of [one, two]) await cluster.reaches(near, to, 2);
  for (const from of [h1, h2]) await cluster.reaches(from, at(near, V4), 2);
  await serve(h2, 8022);
  await until("TCP to the other host's own address", async () => answers(near, two, 8022));
  // As keepalived does.
  await must("ip", "-n", h1, "address", "add", "172.29.236.200/32", "dev", "br-mgmt");
  await cluster.reaches(near, "172.29.236.200");
  assert.equal(await cluster.pings(near, cluster.underlayOf("h1")), false, "no other address of the host");
  const shown = (await cluster.weft("network", "show", "mgmt")).stdout;
  assert.match(shown, /h2 .*172\.29\.236\.2\/22/);
  const settings = async () => (await inHost("h1", "ip", "-d", "link", "show", "br-mgmt")).stdout;
  const isRight = async () => /forward_delay 200 .*stp_state 1 /.test(await settings());
  assert.ok(await isRight(), await settings());
  await must("ip", "-n", h1, "link", "set", "br-mgmt", "type", "bridge", "stp_state", "0");
  await must("ip", "-n", h1, "link", "set", "br-mgmt", "type", "bridge", "forward_delay", "500");
  await until("both are set again", isRight);
  await must("ip", "-n", h1, "address", "delete", `${one}/22`, "dev", "br-mgmt");
  await until("the address is back", async () => cluster.pings(near, one));
});

test("a table of ours by name that is another program's stays, in either family", async () => {
  const netns = await cluster.addWorkloadNetns("tables");
  const kernel = linuxKernel({ host: `/run/netns/${netns}`, prefix: `${netns}-` });
  const nft = (...words: readonly string[]) => run("ip", "netns", "exec", netns, "nft", ...words);
  const [body, bridge, theirs] = ["chain a {\n}\n", "chain b {\n}\n", "weft { chain theirs { }; }"];
  const both = { kind: "nft", ns: "host", digest: nftDigest(body, bridge), body, bridge } as const;
  const one = { kind: "nft", ns: "host", digest: nftDigest(body), body } as const;
  const change = async (op: Op) => (await kernel.apply([op]))[0]?.refusal;
  try {
    await nft(`table bridge ${theirs}`);
    const refused = await change({ op: "add", object: both });
    assert.match(`${refused?.class} ${refused?.message}`, /^exists .*table bridge weft is another program's/);
    assert.equal(await change({ op: "add", object: one }), undefined);
    assert.equal((await change({ op: "set", from: one, object: both }))?.class, "exists");
    assert.match((await nft("list", "table", "bridge", "weft")).stdout, /chain theirs/);
    await nft("delete table bridge weft");
    assert.equal(await change({ op: "set", from: one, object: both }), undefined);
    await nft(`delete table inet weft; table inet ${theirs}`);
    assert.equal((await change({ op: "set", from: both, object: both }))?.class, "exists");
    assert.match((await nft("list", "table", "inet", "weft")).stdout, /chain theirs/);
    await nft("delete table inet weft");
    for (const op of [{ op: "set", from: both, object: both } as const, { op: "remove", object: both } as const])
      assert.equal(await change(op), undefined);
    assert.equal((await nft("list", "tables")).stdout, "");
  } finally {
    kernel.close();
  }
});

test("an agent that is killed leaves traffic alone and finds everything again", async () => {
  const links = async () => (await inHost("h1", "ip", "-o", "link")).stdout.replaceAll(/ qlen.*/g, "");
  const asBefore = await links();
  await cluster.kill("h1");
  await cluster.reaches(web, at(db, V4), 5);
  await cluster.startAgent("h1");
  await cluster.converged();
  await cluster.reaches(web, at(db, V4), 5);
  assert.equal(await links(), asBefore);
  const checked = await cluster.weft("ipam", "check");
  assert.equal(checked.code, 0, checked.stdout);
});

test("purge takes all of it from a host, and nothing else", async () => {
  await cluster.kill("h2");
  const host = cluster.netnsOf("h2");
  await must("ip", "-n", host, "link", "add", "theirs", "type", "bridge");
  const agent = cluster.agentArgs("h2");
  const dir = agent[agent.indexOf("--state-dir") + 1] ?? "";
  const prefix = agent[agent.indexOf("--netns-prefix") + 1] ?? "";
  const weft = join(import.meta.dirname, "../../bin/weft");
  const args = ["purge", "--yes", "--state-dir", dir, "--socket", cluster.agentSocket("h2"), "--netns-prefix", prefix];
  const purged = await run("ip", "netns", "exec", host, weft, ...args);
  assert.equal(purged.code, 0, purged.stderr);
  const links = (await inHost("h2", "ip", "-br", "link")).stdout;
  assert.doesNotMatch(links, /\b(w[bpqux]|br-mgmt)/);
  assert.match(links, /theirs/);
  assert.doesNotMatch((await inHost("h2", "nft", "list", "tables")).stdout, /weft/);
});

test("removal leaves nothing of ours, and all of theirs", async () => {
  for (const network of ["lab", "island", "apart", "mgmt"])
    assert.equal((await cluster.weft("network", "delete", network, "--force", "--yes")).code, 0);
  await cluster.converged(["h1"]);
  for (const host of ["h1"]) {
    const left = await until("nothing is left", async () => {
      const links = (await inHost(host, "ip", "-br", "link")).stdout;
      const tables = (await inHost(host, "nft", "list", "tables")).stdout;
      return !/\b(w[bpqux]|br-mgmt)/.test(links) && !tables.includes("weft") && { links, tables };
    });
    assert.match(left.links, /docker0/);
    assert.equal(left.tables, "table ip docker\ntable bridge filter\n");
  }
  assert.ok(await cluster.reaches(foreign, OUTSIDE));
});
