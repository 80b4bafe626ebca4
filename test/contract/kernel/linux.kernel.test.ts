// Linux, through our netlink, keeps the contract of a kernel.
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { diff } from "../../../src/datapath/state/diff.ts";
import { flowSets } from "../../../src/datapath/policy/flows.ts";
import type { Ns } from "../../../src/datapath/kinds/kind.ts";
import { nftDigest } from "../../../src/datapath/kinds/tables.ts";
import { keyOf, stateOf } from "../../../src/datapath/state/state.ts";
import type { Flow } from "../../../src/kernel/kernel.ts";
import { Namespaces, inodeOf } from "../../../src/kernel/namespaces.ts";
import { NETLINK_NETFILTER, NFPROTO_INET } from "../../../src/kernel/netlink/constants.ts";
import { hasFamily } from "../../../src/kernel/netlink/nftFamily.ts";
import { ovsObstacle } from "../../netns/lab/openVswitch.ts";
import { EXAMPLES, type Example } from "./examples.ts";
import { LinuxWorld, lacks, obstacle, run } from "./linuxWorld.ts";
import * as o from "./objects.ts";
import { kindsOf, lackingOf } from "./kinds.ts";
import { pastedOf } from "./pasted.ts";
import { OTHERS } from "./others.ts";
import { PORTS } from "./ports.ts";
import { REFUSALS } from "./refusals.ts";
import { STATE } from "./state.ts";
import {
  add,
  assertHolds,
  type Contract,
  converge,
  mustApply,
  oursIn,
  remove,
  testContract,
  until,
  type World,
} from "./world.ts";

const LINUX_ONLY: Contract = {
  async "no thread of ours stays in a foreign namespace, and closing lets go of every descriptor"(world) {
    const descriptors = () => readdirSync("/proc/self/fd").length;
    const before = descriptors();
    const kernel = world.restart();
    const stop = new AbortController();
    let pokes = 0;
    kernel.watch(() => pokes++, stop.signal);
    const workload = await world.workload();
    await kernel.apply(diff(await kernel.observe([workload]), stateOf(o.routedNetwork(workload))));
    await assertHolds(kernel, stateOf(o.routedNetwork(workload)), [workload]);
    await until("a poke", () => pokes > 0);
    await kernel.apply(remove(o.NETNS));
    const own = inodeOf("/proc/self/ns/net");
    for (const thread of readdirSync("/proc/self/task")) assert.equal(inodeOf(`/proc/self/task/${thread}/ns/net`), own);
    stop.abort();
    kernel.close();
    await until("all closed", () => descriptors() <= before);
  },

  async "agents with other prefixes on one machine do not see each other"(world) {
    const other = new LinuxWorld();
    try {
      await converge(world, [o.NETNS, o.bridge(), o.tunnel()]);
      assert.deepEqual(await oursIn(other.kernel), []);
      // The same VNI, because the host is another.
      await converge(other, [o.NETNS, o.bridge(), o.tunnel()]);
      await mustApply(other, remove(o.NETNS));
      assert.equal((await oursIn(world.kernel)).length, 3);
    } finally {
      await other.close();
    }
  },

  async "a link that is down, or whose port learns, is seen and set right"(world) {
    const workload = await world.workload();
    const desired = o.switchedNetwork(workload);
    await converge(world, desired, [workload]);
    const harms = [
      [o.NS, "ip", "link", "set", "wp0", "down"],
      [o.NS, "ip", "link", "set", "wb7", "down"],
      [workload, "ip", "link", "set", "eth0", "down"],
      [workload, "ip", "link", "set", "eth0", "mtu", "1300"],
      [o.NS, "bridge", "link", "set", "dev", "wx7", "learning", "on"],
      [o.NS, "bridge", "link", "set", "dev", "wx7", "flood", "on"],
      [o.NS, "bridge", "link", "set", "dev", "wp0", "learning", "on"],
      [o.NS, "bridge", "link", "set", "dev", "wp0", "flood", "on"],
      [o.NS, "ip", "link", "set", "wp0", "type", "bridge_slave", "group_fwd_mask", "0"],
      [o.NS, "ip", "link", "set", "wb7", "type", "bridge", "mcast_snooping", "1"],
      [o.NS, "ip", "link", "set", "wb7", "type", "bridge", "ageing_time", "30000"],
      [o.NS, "bridge", "link", "set", "dev", "wx7", "neigh_suppress", "off"],
      [o.NS, "ip", "link", "set", "wx7", "nomaster"],
      [o.NS, "ip", "link", "set", "wb7", "alias", "weft:network:other"],
    ] as const;
    for (const [ns, ...argv] of harms) {
      inside(world, ns, ...argv);
      assert.notDeepEqual(diff(await world.kernel.observe([workload]), stateOf(desired)), [], argv.join(" "));
      await converge(world, desired, [workload]);
    }
  },

  async "a port that floods and has stopped learning is seen and set right"(world) {
    const desired = [o.NETNS, o.bridge(), { ...o.tunnel(7, "wb7"), macs: "flooded" as const }];
    await converge(world, desired);
    inside(world, o.NS, "bridge", "link", "set", "dev", "wx7", "learning", "off");
    assert.notDeepEqual(diff(await world.kernel.observe([]), stateOf(desired)), []);
    await converge(world, desired);
  },

  async "a look that leaves a workload out still tells, by the near end, whether the far end is up"(world) {
    const workload = await world.workload();
    const port = o.port(workload);
    await converge(world, o.switchedNetwork(workload), [workload]);
    const near = async () => {
      const found = [...(await world.kernel.observe([])).values()].find((one) => one.kind === "veth");
      return found?.kind === "veth" ? found : assert.fail("no pair");
    };
    const { peer, ...rest } = await near();
    assert.equal(peer.ns, "/");
    const { peer: _, ...wanted } = port;
    assert.deepEqual(rest, wanted);
    inside(world, workload, "ip", "link", "set", "eth0", "down");
    assert.equal((await near()).mtu, 0);
    inside(world, workload, "ip", "link", "set", "eth0", "up");
    assert.equal((await near()).mtu, port.mtu);
  },

  async "a port that was cut off passes no packet, whatever its workload does, and others' links stay up"(world) {
    const workload = await world.workload();
    await converge(world, o.switchedNetwork(workload), [workload]);
    const ping = ["ip", "netns", "exec", nameOf(world, workload), "ping", "-n", "-c", "1", "-W", "1", "10.7.0.1"];
    run(...ping);
    run("ip", "-n", nameOf(world, o.NS), "link", "add", "br-lan", "up", "type", "bridge");
    world.kernel.cutOff([o.port(workload), { ...o.port(workload), name: "br-lan" }]);
    assert.throws(() => run(...ping));
    for (const state of ["down", "up"]) run("ip", "-n", nameOf(world, workload), "link", "set", "eth0", state);
    assert.throws(() => run(...ping));
    assert.match(run("ip", "-n", nameOf(world, o.NS), "link", "show", "br-lan"), /[<,]UP[,>]/);
  },

  async "queues and filters that others put on a port stay, and a queue of theirs stands in the way"(world) {
    const workload = await world.workload();
    const base = [o.NETNS, o.bridge(), o.port(workload)];
    await converge(world, base, [workload]);
    inside(
      world,
      o.NS,
      "tc",
      "qdisc",
      "add",
      "dev",
      "wp0",
      "root",
      "tbf",
      "rate",
      "1gbit",
      "burst",
      "9k",
      "limit",
      "9k",
    );
    inside(world, o.NS, "tc", "qdisc", "add", "dev", "wp0", "ingress");
    await converge(world, base, [workload]);
    const [result] = await world.kernel.apply([{ op: "add", object: o.tbf("wp0", 125_000) }]);
    assert.equal(result?.refusal?.class, "exists");
    await mustApply(world, [{ op: "remove", object: o.tbf("wp0", 125_000) }]);
    assert.match(inside(world, o.NS, "tc", "qdisc", "show", "dev", "wp0"), /tbf 8[0-9a-f]+: root [^]*ingress ffff:/);
    inside(world, o.NS, "tc", "qdisc", "del", "dev", "wp0", "root");
    await converge(world, [...base, ...o.limits()], [workload]);
    assert.match(inside(world, o.NS, "tc", "qdisc", "show", "dev", "wp0"), /tbf 7766: root [^]*ingress ffff:/);
  },

  async "a limit is what tc calls it"(world) {
    const workload = await world.workload();
    const peak = { rate: 5_000_000, burst: 5000 };
    const queue = { ...o.tbf("wp0", 2_500_000), peak };
    await converge(world, [o.NETNS, o.bridge(), o.port(workload), queue, o.shaper(), o.redirect()], [workload]);
    const shown = inside(world, o.NS, "tc", "-d", "qdisc", "show", "dev", "wp0");
    assert.match(shown, /tbf 7766: root .* rate 20Mbit burst 2000[01]b.* peakrate 40Mbit mtu 5000b/);
    const filters = inside(world, o.NS, "tc", "filter", "show", "dev", "wp0", "ingress");
    assert.match(filters, /pref 87 u32 [^]*match 00000000\/00000000 at 0[^]*Egress Redirect to device wq0\) stolen/);
  },

  async "this kernel's queues are found by trying"(world) {
    assert.deepEqual(world.kernel.shaping(), ["inbound", "outbound"]);
  },

  async "what this kernel has of what drivers need is found without a lasting change of the host"(world) {
    const before = modules();
    const features = await world.kernel.features();
    const probe = (...words: readonly string[]) =>
      spawnSync("unshare", [
        "-n",
        "sh",
        "-c",
        `ip link add name br0 type bridge && ip link add name dev0 ${words.join(" ")}`,
      ]).status === 0;
    for (const [feature, can] of [
      ["vxlan", probe("type vxlan id 1 dstport 4789")],
      ["vlan", probe("link br0 type vlan id 1")],
    ] as const)
      assert.equal(features.includes(feature), can, feature);
    const nft = (family: string) => spawnSync("unshare", ["-n", "nft", "add", "table", family, "probe"]).status === 0;
    assert.deepEqual([features.includes("nftinet"), features.includes("nftbridge")], [nft("inet"), nft("bridge")]);
    // One that Linux took out (DECnet): as a kernel answers that was built without a family.
    const namespaces = new Namespaces("/proc/thread-self/ns/net", "weft-none-");
    const [unknown, known] = namespaces.scratch(
      (socket) => [hasFamily(socket, 12), hasFamily(socket, NFPROTO_INET)],
      NETLINK_NETFILTER,
    );
    namespaces.close();
    assert.deepEqual([unknown, known], [false, nft("inet")]);
    const mayLoad = [...modules()].filter((name) => !before.has(name));
    assert.deepEqual(
      mayLoad.filter((name) => /gre|openvswitch/.test(name)),
      [],
    );
    // Asking for one loads what there is; so this comes last.
    assert.equal(features.includes("gre"), probe("type gretap remote 192.0.2.1 key 1"));
  },

  async "observing while namespaces come and go"(world) {
    const vrfs = Array.from({ length: 40 }, (_, n) => ({ kind: "netns", ns: `vrf:v${n}` }) as const);
    for (let round = 0; round < 2; round++) {
      const doing = [mustApply(world, add(...vrfs)).then(() => mustApply(world, remove(...vrfs)))];
      for (let n = 0; n < 10; n++) doing.push(world.kernel.observe([]).then(() => undefined));
      await Promise.all(doing);
    }
    assert.deepEqual(await oursIn(world.kernel), []);
  },

  async "ip netns finds the namespace of a VRF, with loopback up"(world) {
    await mustApply(world, add(o.NETNS));
    assert.match(run("ip", "netns", "exec", nameOf(world, o.NS), "ip", "link", "show", "lo"), /<LOOPBACK,UP,LOWER_UP>/);
  },

  async "a file that a killed program left is no obstacle"(world) {
    writeFileSync(`/run/netns/${nameOf(world, o.NS)}`, "");
    assert.deepEqual(await oursIn(world.kernel), []);
    await mustApply(world, remove(o.NETNS));
    await converge(world, [o.NETNS, o.bridge()]);
  },

  async "a workload is called by the path under which its port was made"(world) {
    const workload = await world.workload();
    const other = `${workload}-again` as const;
    symlinkSync(workload, other);
    try {
      await converge(world, [o.NETNS, o.bridge(), o.port(workload, 0), o.port(other, 1)], [other, workload]);
      await converge(world, [o.NETNS, o.bridge(), o.port(workload, 0), o.port(other, 1)], [workload, other]);
    } finally {
      rmSync(other);
    }
  },

  async "what the kernel makes and learns by itself is not ours"(world) {
    const workload = await world.workload();
    const fixed = keyOf(o.bridgeFdb(o.port(workload).peer.mac, "wp0"));
    const desired = o
      .switchedNetwork(workload)
      .filter((object) => keyOf(object) !== fixed)
      .map((object) => (object.kind === "veth" ? { ...object, macs: "learned" as const } : object));
    await converge(world, desired, [workload]);
    run("ip", "netns", "exec", nameOf(world, workload), "ping", "-c", "1", "-W", "2", "10.7.0.1");
    assert.match(
      run("ip", "-n", nameOf(world, o.NS), "neighbour", "show"),
      /10\.7\.0\.5 dev wb7 .*(REACHABLE|DELAY|STALE)/,
    );
    assert.match(
      run("bridge", "-n", nameOf(world, o.NS), "fdb", "show", "dev", "wp0"),
      /^02:00:0a:07:00:00 master wb7/m,
    );
    await assertHolds(world.kernel, stateOf(desired), [workload]);
  },

  async "a workload whose new interfaces have no IPv6 gets it where its endpoint has it"(world) {
    const workload = await world.workload();
    inside(
      world,
      workload,
      "sysctl",
      "-qw",
      "net.ipv6.conf.all.disable_ipv6=1",
      "net.ipv6.conf.default.disable_ipv6=1",
    );
    const desired = o.switchedNetwork(workload);
    await converge(world, desired, [workload]);
    assert.match(inside(world, workload, "sysctl", "-n", "net.ipv6.conf.lo.disable_ipv6"), /^1$/m);
    await converge(world, [], [workload]);
  },

  async "other tables, and others' rules, stay as they are"(world) {
    inside(world, "host", "nft", "table inet other { chain theirs { counter\n }\n}");
    const before = inside(world, "host", "nft", "-s", "list", "table", "inet", "other");
    await converge(world, [o.table(4789, "host")]);
    await converge(world, [o.table(4790, "host")]);
    await converge(world, []);
    assert.equal(inside(world, "host", "nft", "-s", "list", "ruleset"), before);
  },

  async "a table with a mistake is refused with nft's words, and the one that is there stays"(world) {
    await converge(world, [o.NETNS, o.table()]);
    const [result] = await world.kernel.apply([
      { op: "set", from: o.table(), object: { ...o.table(), body: "chain c { nonsense\n}" } },
    ]);
    assert.equal(result?.refusal?.class, "invalid");
    assert.match(result?.refusal?.message ?? "", /syntax error/);
    await assertHolds(world.kernel, stateOf([o.NETNS, o.table()]));
  },

  async "packets that count do not look like a change of the table"(world) {
    const workload = await world.workload();
    const desired = [...o.switchedNetwork(workload).filter((object) => object.kind !== "nft"), o.table(7)];
    await converge(world, desired, [workload]);
    inside(world, o.NS, "nft", "add", "table", "inet", "other");
    run("ip", "netns", "exec", nameOf(world, workload), "ping", "-c", "2", "-i", "0.01", "-W", "2", "10.7.0.1");
    const again = world.restart();
    await assertHolds(again, stateOf(desired), [workload]);
  },

  async "flows are told as they began, and those that are not allowed any more are ended"(world) {
    const tables = o.policyTables();
    const sets = (tables.bridge ?? "").replace(/^set sent_tcp4 .*$/m, flowSets().trimEnd());
    await converge(world, [o.NETNS, { ...tables, digest: nftDigest(tables.body, sets), bridge: sets }]);
    const four = "0x0a070001 . 0x0a070002";
    const six = "0xfd070000000000000000000000000001 . 0xfd070000000000000000000000000002";
    for (const [set, key] of [
      ["sent_tcp4", `${four} . 0x9c40 . 0x0050`],
      ["sent_tcp4", `${four} . 0x9c41 . 0x0050`],
      ["received_udp6", `${six} . 0x9c40 . 0x0035`],
      ["received_other4", `${four} . 0x01 . 0x1234`],
      ["sent_other6", `${six} . 0x3a . 0x1234`],
      ["sent_other4", `${four} . 0x2f . 0x0800`],
    ])
      inside(world, o.NS, "nft", `add element bridge weft ${set} { ${key} timeout 1h }`);
    const [v4, v6] = [
      { source: "10.7.0.1", destination: "10.7.0.2" },
      { source: "fd07::1", destination: "fd07::2" },
    ];
    const rest = [
      { side: "out", ...v4, protocol: 47 },
      { side: "out", ...v6, protocol: 58, icmpType: 128 },
      { side: "in", ...v6, protocol: 17, destinationPort: 53 },
      { side: "in", ...v4, protocol: 1, icmpType: 8 },
    ];
    const web = { side: "out", ...v4, protocol: 6, destinationPort: 80 };
    const flowsBut = (isAllowed: (flow: Flow) => boolean) => {
      const seen: Flow[] = [];
      const cut = world.kernel.cutFlows(o.NS, (flow) => {
        seen.push(flow);
        return isAllowed(flow);
      });
      return { cut, seen };
    };
    assert.deepEqual(
      flowsBut(({ protocol }) => protocol !== 6),
      { cut: 2, seen: [web, web, ...rest] },
    );
    assert.deepEqual(
      flowsBut(() => true),
      { cut: 0, seen: rest },
    );
    await converge(world, [o.NETNS]);
    assert.equal(flowsBut(() => false).cut, 0);
  },

  async "links of others in the host's namespace do not poke"(world) {
    const stop = new AbortController();
    let pokes = 0;
    await converge(world, [{ ...o.bridge("wb7", "host") }]);
    world.kernel.watch(() => pokes++, stop.signal);
    const host = nameOf(world, "host");
    run("ip", "-n", host, "link", "add", "virbr0", "type", "bridge");
    run("ip", "-n", host, "address", "add", "10.99.0.1/24", "dev", "virbr0");
    run("ip", "-n", host, "link", "del", "virbr0");
    run("ip", "-n", host, "link", "set", "wb7", "mtu", "1300");
    await until("a poke for ours", () => pokes > 0);
    assert.equal(pokes, 1);
    stop.abort();
  },

  async "but those that Weft waits for do, when they come, get another name, and go"(world) {
    const stop = new AbortController();
    let [pokes, moves] = [0, 0];
    const moved = () => void moves++;
    world.kernel.watch(() => pokes++, stop.signal, moved);
    world.kernel.heed(["br-mgmt"]);
    const host = nameOf(world, "host");
    for (const words of [
      ["add", "br-other", "type", "bridge"],
      ["set", "br-other", "name", "br-mgmt"],
      ["set", "br-mgmt", "name", "br-other"],
      ["set", "br-other", "name", "br-mgmt"],
      ["del", "br-mgmt"],
    ]) {
      const before = [pokes, moves] as const;
      run("ip", "-n", host, "link", ...words);
      if (words[1] === "br-other" && words[0] === "add") continue;
      await until(`a poke after ip link ${words.join(" ")}`, () => pokes > before[0] && moves > before[1]);
    }
    assert.deepEqual([pokes, moves], [4, 4]);
    stop.abort();
  },

  async "an address of another length, and a tunnel of another name, stay theirs"(world) {
    const host = nameOf(world, "host");
    for (const words of [
      "link add br-mgmt type bridge",
      "link add encap type vxlan id 7 local 192.0.2.1 dstport 4789",
      "addr add 10.7.0.1/24 dev br-mgmt",
    ])
      run("ip", "-n", host, ...words.split(" "));
    const bridge = o.bridge("br-mgmt", "host");
    const wanted = [
      bridge,
      { ...o.tunnel(7, "br-mgmt"), ns: "host" as const },
      o.address("br-mgmt", "10.7.0.1/16", "host"),
    ];
    const { taken, differs } = world.kernel.inherit(wanted);
    assert.deepEqual(taken, []);
    assert.deepEqual(differs, [
      "its VNI 7 is that of encap: give the network that device, or remove it",
      "br-mgmt has 10.7.0.1/24, not 10.7.0.1/16",
    ]);
    assert.deepEqual(await oursIn(world.kernel), []);
  },

  async "forwarding of a link that is routed through, turned off by somebody, is seen and turned on again"(world) {
    const workload = await world.workload();
    const desired = o.routedNetwork(workload);
    await converge(world, desired, [workload]);
    const off = [
      [o.NS, "wb7"],
      [o.NS, "wx7"],
      [o.NS, "uplink"],
      ["host", "wu-blue"],
    ] as const;
    for (const [ns, dev] of off) {
      const key = `net.ipv4.conf.${dev}.forwarding`;
      inside(world, ns, "sysctl", "-qw", `${key}=0`);
      const ops = diff(await world.kernel.observe([workload]), stateOf(desired));
      assert.equal(ops.length, 1, `${key} is seen`);
      await mustApply(world, ops);
      assert.match(inside(world, ns, "sysctl", key), /= 1/);
      await assertHolds(world.kernel, stateOf(desired), [workload]);
    }
    // A workload's interface and its port are bridged: what they say is no concern of ours.
    inside(world, workload, "sysctl", "-qw", "net.ipv4.conf.eth0.forwarding=0");
    await assertHolds(world.kernel, stateOf(desired), [workload]);
  },

  async "a route of ours without our metric, as earlier builds made it, gives way to one with it"(world) {
    await mustApply(world, add(o.NETNS, o.bridge(), o.address("wb7", "10.7.0.1/16")));
    const there = nameOf(world, o.NS);
    run("ip", "-n", there, "route", "add", "default", "via", "10.7.0.2", "dev", "wb7", "proto", "87");
    const desired = stateOf([
      o.NETNS,
      o.bridge(),
      o.address("wb7", "10.7.0.1/16"),
      o.route("0.0.0.0/0", "wb7", "10.7.0.2"),
    ]);
    const ops = diff(await world.kernel.observe([]), desired);
    assert.deepEqual(
      ops.map(({ op }) => op),
      ["add", "remove"],
      "there is a route at every moment",
    );
    await mustApply(world, ops);
    assert.match(
      run("ip", "-n", there, "route", "show", "default"),
      /^default via 10.7.0.2 dev wb7 proto 87 metric 1024[^\n]*\n$/,
    );
    await assertHolds(world.kernel, desired, []);
  },

  async "the kernel's own words are in a refusal"(world) {
    await mustApply(world, add(o.NETNS, o.bridge()));
    const [result] = await world.kernel.apply(add(o.route("10.9.0.0/16", "wb7", "192.0.2.9")));
    assert.equal(result?.refusal?.message, "ENETUNREACH: network is unreachable: Nexthop has invalid gateway");
  },

  async "a batch that fails in every message is answered in full"(world) {
    await mustApply(world, add(o.NETNS, o.bridge()));
    const routes = Array.from({ length: 600 }, (_, i) => o.route(`10.${i >> 8}.${i & 255}.0/24`, "wb7", "192.0.2.9"));
    const results = await world.kernel.apply(add(...routes));
    assert.equal(results.filter((result) => result.refusal?.class === "invalid").length, 600);
  },

  async "what the host has is told, without what is ours"(world) {
    await converge(world, [
      o.NETNS,
      o.uplink(),
      o.address("wu-blue", "169.254.64.1/30", "host"),
      o.bridge("wb7", "host"),
      o.address("wb7", "10.7.0.1/16", "host"),
    ]);
    const host = nameOf(world, "host");
    run("ip", "-n", host, "link", "add", "eth9", "mtu", "9000", "type", "bridge");
    run("ip", "-n", host, "address", "add", "192.0.2.77/24", "dev", "eth9");
    run("ip", "-n", host, "address", "add", "2001:db8::77/64", "dev", "eth9", "nodad");
    run("ip", "-n", host, "link", "set", "eth9", "up");
    run("ip", "-n", host, "route", "add", "198.51.100.0/24", "dev", "eth9");
    run("ip", "-n", host, "route", "add", "default", "via", "192.0.2.1");
    const { prefixes, bootId } = world.kernel.facts();
    assert.deepEqual(prefixes, [
      "192.0.2.0/24",
      "192.0.2.77/24",
      "198.51.100.0/24",
      "2001:db8::/64",
      "2001:db8::77/64",
    ]);
    assert.match(bootId, /^[0-9a-f-]{36}$/);
    assert.equal(world.kernel.underlayMtu("192.0.2.77"), 9000);
    assert.equal(world.kernel.underlayMtu("2001:db8::77"), 9000);
    assert.equal(world.kernel.underlayMtu("192.0.2.78"), undefined);
  },
};

function nameOf(world: World, ns: Ns): string {
  assert(world instanceof LinuxWorld);
  return world.name(ns);
}

function inside(world: World, ns: Ns, ...argv: readonly string[]): string {
  assert(world instanceof LinuxWorld);
  return world.inside(ns, ...argv);
}

/** Modules that are in the kernel. */
function modules(): ReadonlySet<string> {
  return new Set(existsSync("/sys/module") ? readdirSync("/sys/module") : []);
}

const skip = obstacle();
/** What this kernel lacks is tried on one that has it (linux.guest.test.ts). */
const [lacking, possible] = [true, false].map((is) =>
  EXAMPLES.filter((one) => (skip === undefined && [one.is, ...one.needs].some(({ kind }) => lacks(kind))) === is),
);
const isOfOvs = ({ is }: Example) => is.kind === "openvswitch" || is.kind.startsWith("ovs-");
const [ofOvs = [], others = []] = [true, false].map((isIt) => possible?.filter((one) => isOfOvs(one) === isIt));
/** What needs another of such a kind needs no try of its own. */
const alone = (lacking ?? []).filter(({ needs }) => needs.every(({ kind }) => !lacks(kind)));
for (const contract of [kindsOf(others), pastedOf(others), lackingOf(alone)])
  testContract("linux", contract, async () => new LinuxWorld(), skip);
for (const contract of [kindsOf(ofOvs), pastedOf(ofOvs)])
  testContract("linux", contract, async () => new LinuxWorld(), skip ?? ovsObstacle());
for (const contract of [STATE, OTHERS, REFUSALS, PORTS, LINUX_ONLY])
  testContract("linux", contract, async () => new LinuxWorld(), skip);
