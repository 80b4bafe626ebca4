// Services of Kubernetes in front of pods on Weft, on the real kernel: the rules as kube-proxy writes them (iptables
// over nftables; chains, marks and masquerade), hostPort as the portmap plugin does it, in both families.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { whyNoKernelTests } from "../runner/machine.ts";
import { Cluster, must, run, until, type Workload } from "./lab/cluster.ts";
import { plugin, REFERENCE_PLUGINS } from "./lab/plugin.ts";
import { dial, Listener } from "./lab/tcp.ts";

const PORT = 8080;
const NODE_PORT = 30_080;
const HOST_PORT = 31_080;
const MASK = "0x4000/0x4000";

type Family = 4 | 6;
/** Of services: not of any network. */
const CLUSTER_IP = { 4: ["10.96.0.10", "10.96.0.11"], 6: ["fd96::10", "fd96::11"] } as const;
const UNDERLAY = { 4: "172.31.77.", 6: "fd77::" } as const;

const noTools =
  existsSync("/usr/sbin/iptables") && existsSync(`${REFERENCE_PLUGINS}/portmap`)
    ? false
    : "iptables or containernetworking-plugins is missing";
const skip = whyNoKernelTests() ?? noTools;

describe("services of Kubernetes", { skip }, () => {
  const cluster = new Cluster(2);
  const listeners: Listener[] = [];
  const pods = new Map<string, Workload>();
  const of = (name: string) => pods.get(name) ?? assert.fail(`${name} is not attached`);
  const addressOf = (name: string, family: Family) =>
    of(name).addresses.find((text) => text.includes(":") === (family === 6)) ?? "";
  const nodeOf = (host: string, family: Family) =>
    UNDERLAY[family] + (family === 4 ? "1" : "") + (host === "h1" ? "1" : "2");

  /** A service with one endpoint, as kube-proxy makes it on every node. */
  const service = (name: string, address: string, pod: string, nodePort: number | undefined): string[] => {
    const isSix = address.includes(":");
    const [length, to] = [isSix ? 128 : 32, isSix ? `[${pod}]:${PORT}` : `${pod}:${PORT}`];
    const its = `-d ${address}/${length} -p tcp --dport 80`;
    return [
      `-N KUBE-SVC-${name}`,
      `-N KUBE-SEP-${name}`,
      `-A KUBE-SERVICES ${its} -j KUBE-SVC-${name}`,
      `-A KUBE-SVC-${name} ! -s ${isSix ? "fd78::/56" : "10.78.0.0/16"} ${its} -j KUBE-MARK-MASQ`,
      `-A KUBE-SVC-${name} -j KUBE-SEP-${name}`,
      `-A KUBE-SEP-${name} -s ${pod}/${length} -j KUBE-MARK-MASQ`,
      `-A KUBE-SEP-${name} -p tcp -m tcp -j DNAT --to-destination ${to}`,
      ...(nodePort === undefined
        ? []
        : [
            `-A KUBE-NODEPORTS -p tcp --dport ${nodePort} -j KUBE-MARK-MASQ`,
            `-A KUBE-NODEPORTS -p tcp --dport ${nodePort} -j KUBE-SVC-${name}`,
          ]),
    ];
  };
  const proxy = async (host: string, family: Family) => {
    const [local, remote] = CLUSTER_IP[family];
    const nat = [
      ...["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-MARK-MASQ", "KUBE-POSTROUTING"].map((chain) => `-N ${chain}`),
      "-A PREROUTING -j KUBE-SERVICES",
      "-A OUTPUT -j KUBE-SERVICES",
      "-A POSTROUTING -j KUBE-POSTROUTING",
      "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
      `-A KUBE-POSTROUTING -m mark ! --mark ${MASK} -j RETURN`,
      "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
      "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
      ...service("LOCAL", local, addressOf("b", family), NODE_PORT),
      ...service("REMOTE", remote, addressOf("c", family), NODE_PORT + 1),
      "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
    ];
    const filter = [
      "-N KUBE-FORWARD",
      "-A FORWARD -j KUBE-FORWARD",
      "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
      `-A KUBE-FORWARD -m mark --mark ${MASK} -j ACCEPT`,
      "-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ];
    const program = family === 4 ? "iptables-nft" : "ip6tables-nft";
    for (const [table, rules] of [
      ["nat", nat],
      ["filter", filter],
    ] as const)
      for (const rule of rules)
        await must("ip", "netns", "exec", cluster.netnsOf(host), program, "-w", "-t", table, ...rule.split(" "));
  };

  before(async () => {
    await cluster.open();
    const words = [["-n", cluster.wire, "addr", "add", "fd77::ff/64", "dev", "lan", "nodad"]];
    for (const host of cluster.hosts) {
      const netns = cluster.netnsOf(host);
      words.push(["-n", netns, "addr", "add", `${nodeOf(host, 6)}/64`, "dev", "eth0", "nodad"]);
      words.push(["-n", netns, "route", "add", "default", "via", "fd77::ff"]);
      await must("ip", "netns", "exec", netns, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1");
    }
    for (const one of words) await must("ip", ...one);
    const put = async (path: string, spec: object) => {
      const { status, body } = await cluster.api("PUT", path, { spec });
      assert(status < 300, `${path}: ${JSON.stringify(body)}`);
    };
    await put("/v1/vrfs/kube", { hostAccess: true });
    await put("/v1/networks/pods", {
      ipam: "local",
      vrf: "kube",
      subnets: [
        { cidr: "10.78.0.0/16", hostPrefix: 24 },
        { cidr: "fd78::/56", hostPrefix: 64 },
      ],
    });
    await put("/v1/networks/tenant", { ipam: "global", subnets: [{ cidr: "10.79.0.0/24" }, { cidr: "fd79::/64" }] });
    await cluster.converged();
    for (const [name, host, network] of [
      ["a", "h1", "pods"],
      ["b", "h1", "pods"],
      ["c", "h2", "pods"],
      ["other", "h1", "tenant"],
    ] as const)
      pods.set(name, await cluster.attach(host, network, name));
    await cluster.converged();
    for (const host of cluster.hosts) for (const family of [4, 6] as const) await proxy(host, family);
    for (const name of ["b", "c", "other"]) listeners.push(await Listener.in(of(name).netns, PORT, name));
  });
  after(async () => {
    for (const listener of listeners) listener.close();
    await cluster.close();
  });

  const reaches = async (from: string, address: string, port: number, name: string) =>
    assert.match(await dial(from, address, port), new RegExp(`^${name} `), `${from} -> [${address}]:${port}`);

  for (const family of [4, 6] as const) {
    const [local, remote] = CLUSTER_IP[family];

    test(`IPv${family}: a pod reaches a ClusterIP on its node, on another, and its own`, async () => {
      await reaches(of("a").netns, local, 80, "b");
      await reaches(of("b").netns, local, 80, "b");
      await until("the other node's pod", async () => (await dial(of("a").netns, remote, 80)).startsWith("c "));
      await reaches(of("c").netns, remote, 80, "c");
      await reaches(of("c").netns, local, 80, "b");
    });

    test(`IPv${family}: pods, nodes and the outside reach a NodePort of either node`, async () => {
      for (const from of [of("a").netns, of("b").netns, of("c").netns, cluster.netnsOf("h2"), cluster.wire]) {
        for (const host of cluster.hosts) {
          await reaches(from, nodeOf(host, family), NODE_PORT, "b");
          await reaches(from, nodeOf(host, family), NODE_PORT + 1, "c");
        }
      }
      for (const address of [local, remote])
        await reaches(cluster.netnsOf("h1"), address, 80, address === local ? "b" : "c");
    });

    test(`IPv${family}: another tenant reaches what is published, and nothing else of the pods`, async () => {
      const { netns } = of("other");
      await reaches(netns, local, 80, "b");
      await reaches(netns, nodeOf("h1", family), NODE_PORT, "b");
      for (const name of ["b", "c"]) assert.equal(await dial(netns, addressOf(name, family), PORT), "", name);
      for (const from of ["a", "b"])
        assert.equal(await dial(of(from).netns, addressOf("other", family), PORT), "", from);
      // Nor by a route of its own making, past its gateway or to the ends of uplinks.
      const way = family === 4 ? ["route"] : ["-6", "route"];
      await run("ip", "-n", netns, ...way, "replace", addressOf("b", family), "dev", "eth0");
      assert.equal(await dial(netns, addressOf("b", family), PORT), "");
      await run("ip", "-n", netns, ...way, "delete", addressOf("b", family), "dev", "eth0");
      assert.equal(await dial(netns, nodeOf("h1", family), PORT), "", "the node itself");
    });
  }

  test("hostPort by portmap: from pods, the same pod, other tenants, the node and the outside", async () => {
    const within = `/run/netns/${cluster.netnsOf("h1")}`;
    const netns = `/run/netns/${of("b").netns}`;
    const addresses = [4, 6].map((family) => addressOf("b", family as Family));
    const portmap = {
      cniVersion: "1.0.0",
      name: "pods",
      type: "portmap",
      snat: true,
      runtimeConfig: {
        portMappings: ["", "::"].map((hostIP) => ({
          hostPort: HOST_PORT,
          containerPort: PORT,
          protocol: "tcp",
          hostIP,
        })),
      },
      prevResult: {
        cniVersion: "1.0.0",
        interfaces: [{ name: "eth0", sandbox: netns }],
        ips: addresses.map((address) => ({ interface: 0, address: `${address}/${address.includes(":") ? 64 : 24}` })),
      },
    };
    const call = {
      container: "b",
      netns,
      ifname: "eth0",
      program: `${REFERENCE_PLUGINS}/portmap`,
      config: portmap,
      within,
    };
    const told = await plugin("", { ...call, command: "ADD" });
    assert.equal(told.code, 0, told.output);
    for (const family of [4, 6] as const)
      for (const from of [of("a").netns, of("b").netns, of("other").netns, of("c").netns, cluster.wire])
        await reaches(from, nodeOf("h1", family), HOST_PORT, "b");
    assert.equal((await plugin("", { ...call, command: "DEL" })).code, 0);
    assert.equal(await dial(of("a").netns, nodeOf("h1", 4), HOST_PORT), "", "it is not published any more");
  });
});
