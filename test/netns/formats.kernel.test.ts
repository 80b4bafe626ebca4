// Written files and the programs that read them: what each makes in the kernel is what the published recipe makes by
// hand, and two hosts that are brought up from files talk to each other without an agent.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { FORMATS, type Format, WRITERS, readPlan } from "../../src/formats/formats.ts";
import type { LinkPlan } from "../../src/formats/plan.ts";
import { memoryFiles } from "../unit/formats/memoryFiles.ts";
import { whyNoKernelTests } from "../runner/machine.ts";
import { type Json, must, run, until } from "./lab/cluster.ts";
import { checksums } from "./lab/interface.ts";
import { HostTools, whyNoTools } from "./lab/hostTools.ts";
import { rackspaceStanzas } from "./lab/recipe.ts";

const TAG = `wf${process.pid.toString(36)}`;

/** The recipe on host n, as its page has it, and a second network whose broadcasts go to the other host by name. */
function recipe(n: number): string {
  return `auto eth2
iface eth2 inet static
    address 192.168.66.1${n}/24

${rackspaceStanzas(`address 172.29.236.1${n}/22`)}
iface uni inet manual
    pre-up ip link add uni mtu 1400 type vxlan id 77 local 192.168.66.1${n} dstport 4789
    up ethtool -K uni tx off
    up bridge fdb append 00:00:00:00:00:00 dev uni dst 192.168.66.1${3 - n} self permanent

iface br-uni inet static
    bridge_ports uni
    bridge_fd 2
    address 10.77.0.${n}/24
    address fd77::${n}/64
`;
}

/** The same by hand. */
const BY_HAND = (n: number) => [
  "ip link add encap-mgmt type vxlan id 236 group 239.0.0.236 dev eth2 ttl 5 dstport 4789",
  "ip link add br-mgmt type bridge stp_state 0 forward_delay 0",
  "ip link set encap-mgmt master br-mgmt up",
  "ip link set br-mgmt up",
  `ip link add uni mtu 1400 type vxlan id 77 local 192.168.66.1${n} dstport 4789`,
  "ethtool -K uni tx-checksum-ip-generic off",
  "ip link add br-uni type bridge stp_state 0 forward_delay 200",
  "ip link set uni master br-uni up",
  "ip link set br-uni up",
];

function planOf(n: number): LinkPlan {
  const { plan, reading } = readPlan("ifupdown", memoryFiles({ interfaces: recipe(n) }), ["interfaces"]);
  assert.deepEqual(reading, { notes: [], problems: [] });
  // ifupdown2 makes 1500 of an MTU that it is not told.
  const mtuOf = (name: string) => (name === "eth2" ? 1500 : name.endsWith("uni") ? 1400 : 1450);
  return { links: plan.links.map((link) => ({ ...link, mtu: mtuOf(link.name) })) };
}

/** What a device is, without what the kernel or the tool chooses for itself. */
async function device(netns: string, name: string): Promise<Json> {
  const [found]: Json[] = JSON.parse(await must("ip", "-n", netns, "-d", "-j", "link", "show", name));
  const { info_kind, info_data: data } = found.linkinfo;
  const tx = info_kind === "vxlan" ? checksums(netns, name) : "any";
  const port = { mtu: found.mtu, master: found.master, kind: info_kind, tx };
  if (info_kind === "bridge") return { ...port, stp: data.stp_state, forwardDelay: data.forward_delay };
  const { id, group, link, ttl, learning, udp_csum, port: udp } = data;
  return { ...port, id, group, link, ttl: ttl ?? 0, learning, udp_csum, udp };
}

const BY_UDEV: ReadonlySet<Format> = new Set(["netplan", "networkd"]);
const DEVICES = ["encap-mgmt", "br-mgmt", "uni", "br-uni"];

/** Two hosts with a wire between their eth2, and nothing else. */
async function hosts(name: string): Promise<readonly [string, string]> {
  const pair = [`${TAG}${name}1`, `${TAG}${name}2`] as const;
  for (const netns of pair) await must("ip", "netns", "add", netns);
  await must(
    ..."ip -n A link add eth2 type veth peer name eth2 netns B".replace("A", pair[0]).replace("B", pair[1]).split(" "),
  );
  for (const netns of pair) await must("ip", "-n", netns, "link", "set", "eth2", "up");
  return pair;
}

describe("written files and the programs that read them", {
  skip: whyNoKernelTests() ?? whyNoTools() ?? false,
}, () => {
  const tools = new HostTools();
  const made: string[] = [];
  const wanted = new Map<string, Json>();

  before(async () => {
    const [hand, other] = await hosts("h");
    made.push(hand, other);
    await must("ip", "-n", hand, "address", "add", "192.168.66.11/24", "dev", "eth2");
    for (const line of BY_HAND(1)) await must("ip", "netns", "exec", hand, ...line.split(" "));
    for (const name of DEVICES) wanted.set(name, await device(hand, name));
  });
  after(async () => {
    await tools.close();
    for (const netns of made) await run("ip", "netns", "delete", netns);
  });

  const written = (format: Format, n: number) => {
    const { files, lacks } = WRITERS[format]({ plan: planOf(n), name: "recipe", header: ["Written by a test."] });
    // As netplan has no words for it, and networkd leaves it to udev, which is not here.
    assert.deepEqual(
      lacks,
      format === "netplan" ? ["uni: netplan cannot let the kernel write a tunnel's checksums"] : [],
    );
    return files;
  };

  for (const format of FORMATS)
    test(`${format}: the recipe's devices, and two hosts that talk`, async () => {
      const pair = await hosts(format.slice(0, 4) + (format === "ifupdown2" ? "x" : ""));
      made.push(...pair);
      for (const [i, netns] of pair.entries()) await tools.apply(netns, format, written(format, i + 1));
      const ping = (to: string) => async () =>
        (await run("ip", "netns", "exec", pair[0], "ping", "-c", "1", "-W", "1", to)).code === 0;
      try {
        for (const to of ["172.29.236.12", "10.77.0.2", "fd77::2"]) await until(`a ping to ${to}`, ping(to));
      } catch (error) {
        throw new Error(tools.log(), { cause: error });
      }
      for (const name of DEVICES) {
        const found = await device(pair[0], name);
        const expected = name === "uni" && BY_UDEV.has(format) ? { ...wanted.get(name), tx: "on" } : wanted.get(name);
        assert.deepEqual(found, expected, `${format}: ${name}`);
      }
      await tools.stop();
    });

  test("ifdown and the script's down leave nothing", async () => {
    for (const format of ["ifupdown", "iproute2"] as const) {
      const [netns, other] = await hosts(`d${format.slice(0, 2)}`);
      made.push(netns, other);
      await tools.apply(netns, format, written(format, 1), "down");
      const links: Json[] = JSON.parse(await must("ip", "-n", netns, "-j", "link"));
      assert.deepEqual(new Set(links.map(({ ifname }) => ifname)), new Set(["eth2", "lo"]));
    }
  });
});
