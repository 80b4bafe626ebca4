// VLANs with packets, on a kernel that has them: one tag, in the namespaces of hosts and in those of VRFs; two tags
// (802.1ad), in those of VRFs. The hosts and a machine without an agent are on one switch, beside the underlay.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { lacks } from "../contract/kernel/linuxWorld.ts";
import { Cluster, type Json, must, packetsAt, run, until } from "./lab/cluster.ts";
import { DriverScene, driverSuite, lastTests, segment } from "./lab/driverSuite.ts";
import * as frames from "./lab/frames.ts";
import { Interface } from "./lab/interface.ts";
import { addSecond } from "./lab/second.ts";

const [C_TAG, S_TAG] = [0x8100, 0x88a8];
const NETWORKS = {
  switched: { spec: { ...segment(7), parent: "lan", vlan: 100, placement: "host" } },
  apart: { spec: { ...segment(7), parent: "lan", vlan: 101, placement: "own" } },
  stacked: { spec: { ...segment(8), parent: "lan", outerVlan: 7, vlan: 5, placement: "own" } },
};
const TESTED = Object.keys(NETWORKS) as readonly (keyof typeof NETWORKS)[];
/** Where the machine is; not in the one that has the addresses of another. */
const MACHINE = { switched: "10.7.200.200", stacked: "10.8.200.200" };
const MET = Object.keys(MACHINE) as readonly (keyof typeof MACHINE)[];

if (lacks("vlan")) test("this kernel lacks VLANs: one that has them is a guest's");
else
  describe("VLANs", () => {
    const cluster = new Cluster(2);
    const scene = new DriverScene(cluster, "vlan", NETWORKS);
    const machine = `${cluster.id}-machine`;
    const v4 = (name: string) => scene.of(name).addresses.find((text) => text.includes(".")) ?? "";
    const link = async (netns: string, name: string): Promise<Json> => {
      const { stdout } = await run("ip", "-n", netns, "-j", "-d", "link", "show", name);
      return stdout.trim() === "" ? undefined : JSON.parse(stdout)[0];
    };
    /** A VLAN device as anybody makes it. */
    const byHand = async (name: string, on: string, ...words: string[]) => {
      await must("ip", "-n", machine, "link", "add", "link", on, "name", name, "type", "vlan", ...words);
      await must("ip", "-n", machine, "link", "set", name, "up");
    };

    before(async () => {
      await cluster.open();
      await must("ip", "netns", "add", machine);
      await must("ip", "-n", cluster.wire, "link", "add", "lan2", "up", "type", "bridge", "mcast_snooping", "0");
      for (const netns of [machine, ...cluster.hosts.map((host) => cluster.netnsOf(host))]) {
        const port = `p${netns.slice(-2)}`;
        await addSecond(cluster.wire, { netns, port, lan: "lan2" });
        // A switch learns for each VLAN, and this bridge for all together: MACs are there more than once.
        await must("ip", "-n", cluster.wire, "link", "set", port, "type", "bridge_slave", "learning", "off");
      }
      await byHand("office", "eth2", "id", "100");
      await byHand("outer", "eth2", "proto", "802.1ad", "id", "7");
      await byHand("inner", "outer", "id", "5");
      await must("ip", "-n", machine, "addr", "add", `${MACHINE.switched}/16`, "dev", "office");
      await must("ip", "-n", machine, "addr", "add", `${MACHINE.stacked}/16`, "dev", "inner");
      await scene.put("/v1/physicalnetworks/lan", {});
      for (const host of cluster.hosts) {
        const physical = [{ name: "lan", device: "eth2" }];
        assert.equal((await cluster.api("POST", `/v1/hosts/${host}/set`, { physical })).status, 200);
      }
      await scene.open();
    });
    after(async () => {
      scene.close();
      await cluster.close();
    });

    driverSuite(scene, 1500);

    test("a machine outside is on the segment, and frames have the tags on the wire, outermost first", async () => {
      const ofPing = (seen: string, to: string) =>
        seen.split("\n").find((line) => line.includes(`> ${to}: ICMP echo request`)) ?? "";
      const [flat, apart, stacked] = [v4("switched-c"), v4("apart-c"), v4("stacked-c")];
      const seen = await packetsAt(cluster.wire, "ph2", "-e vlan", async (soFar) => {
        for (const network of MET) await cluster.reaches(scene.of(`${network}-a`), MACHINE[network]);
        for (const network of TESTED) await cluster.reaches(scene.of(`${network}-a`), v4(`${network}-c`));
        await until("all are seen", async () => [flat, apart, stacked].every((to) => ofPing(soFar(), to) !== ""));
      });
      for (const [to, id] of [
        [flat, 100],
        [apart, 101],
      ] as const)
        assert.match(
          ofPing(seen, to),
          new RegExp(`ethertype 802\\.1Q \\(0x8100\\), length \\d+: vlan ${id}, p 0, ethertype IPv4`),
        );
      const two = ofPing(seen, stacked);
      assert.match(two, /ethertype 802\.1Q-QinQ \(0x88a8\), length \d+: vlan 7, p 0, ethertype 802\.1Q/);
      assert.match(two, / vlan 7, p 0, ethertype 802\.1Q \(0x8100\), vlan 5, p 0, ethertype IPv4/);
    });

    test("frames without the tags of a network, or with others, do not enter it", async () => {
      const wire = await Interface.in(machine, "eth2");
      const cases = {
        switched: [
          [],
          [[C_TAG, 0]],
          [[C_TAG, 102]],
          [[S_TAG, 100]],
          [
            [S_TAG, 7],
            [C_TAG, 100],
          ],
        ],
        apart: [[], [[C_TAG, 102]], [[S_TAG, 101]]],
        stacked: [
          [],
          [[C_TAG, 5]],
          [[S_TAG, 7]],
          [
            [S_TAG, 7],
            [C_TAG, 6],
          ],
          [
            [S_TAG, 8],
            [C_TAG, 5],
          ],
          [
            [C_TAG, 7],
            [C_TAG, 5],
          ],
        ],
      } as const;
      const right = {
        switched: [[C_TAG, 100]],
        apart: [[C_TAG, 101]],
        stacked: [
          [S_TAG, 7],
          [C_TAG, 5],
        ],
      } as const;
      for (const network of TESTED) {
        const to = scene.of(`${network}-c`);
        const ends = { fromMac: "02:00:00:00:00:77", toMac: to.mac, from: v4(`${network}-a`), to: v4(`${network}-c`) };
        const [tag, fence] = [scene.tag(), scene.tag()];
        for (const tags of cases[network]) wire.send(frames.tagged(frames.udp(ends, 4000, tag), ...tags));
        wire.send(frames.tagged(frames.udp(ends, 4000, fence), ...right[network]));
        await until("the fence is there", async () => to.wire.has(fence));
        for (const [name, station] of scene.stations) assert.equal(station.wire.count(tag), 0, name);
      }
      wire.close();
    });

    test("a workload does not get into another VLAN by a tag of its own", async () => {
      const outside = await Interface.in(cluster.wire, "lan2");
      const from = scene.of("switched-a");
      const ends = { fromMac: from.mac, toMac: frames.BROADCAST, from: v4("switched-a"), to: "10.7.255.255" };
      const [tag, fence] = [scene.tag(), scene.tag()];
      for (const kind of [C_TAG, S_TAG])
        from.wire.send(frames.tagged(frames.udp(ends, 4000, tag), [kind, 101], [C_TAG, 5]));
      from.wire.send(frames.udp(ends, 4000, fence));
      await until("the fence is on the wire", async () => outside.has(fence));
      assert.equal(outside.count(tag), 0);
      outside.close();
    });

    test("what others change about a VLAN is set right", async () => {
      const h1 = cluster.netnsOf("h1");
      for (const words of [
        ["link", "delete", "wv-switched"],
        ["link", "set", "wv-switched", "nomaster"],
        ["link", "set", "wv-switched", "down"],
        ["link", "set", "wv-switched", "mtu", "1400"],
        ["link", "set", "wv-switched", "type", "bridge_slave", "learning", "off"],
        ["link", "set", "wv-switched", "type", "bridge_slave", "flood", "off"],
      ]) {
        await must("ip", "-n", h1, ...words);
        await until(`${words.join(" ")} is undone`, async () => {
          const { master, flags, mtu, linkinfo } = (await link(h1, "wv-switched")) ?? { flags: [] };
          const { learning, flood } = linkinfo?.info_slave_data ?? {};
          return (
            master === "wb-switched" && flags.includes("UP") && mtu === 1500 && learning === true && flood === true
          );
        });
        await cluster.reaches(scene.of("switched-a"), MACHINE.switched);
      }
    });

    test("devices go down and up with the one that leads there, and have its MTU at most", async () => {
      const h1 = cluster.netnsOf("h1");
      for (const mtu of [1400, 1500]) {
        await must("ip", "-n", h1, "link", "set", "eth2", "mtu", String(mtu));
        for (const network of TESTED)
          await until(`${mtu} bytes in ${network}`, async () => {
            const { mtu: now } = await link(await scene.spaceOf("h1", network), `wv-${network}`);
            return now === mtu;
          });
      }
      for (const state of ["down", "up"]) {
        await must("ip", "-n", h1, "link", "set", "eth2", state);
        assert.equal(await cluster.pings(scene.of("stacked-a"), v4("stacked-b")), true, "on one host");
      }
      for (const network of MET) await cluster.reaches(scene.of(`${network}-a`), MACHINE[network]);
    });

    test("no device on the segment has a MAC that one of another host has", async () => {
      const macs = await Promise.all(
        cluster.hosts.map(async (host) => {
          const spaces = await Promise.all(Object.keys(NETWORKS).map((network) => scene.spaceOf(host, network)));
          const links = await Promise.all(
            spaces.map(
              async (netns): Promise<Json[]> => JSON.parse(await must("ip", "-n", netns, "-j", "link", "show")),
            ),
          );
          return new Set(links.flat().flatMap(({ ifname, address }) => (/^w[vbo]/.test(ifname) ? [address] : [])));
        }),
      );
      const [one = new Set(), two = new Set()] = macs;
      assert.ok(one.size >= 6, [...one].join(" "));
      assert.deepEqual(
        [...one].filter((mac) => two.has(mac)),
        [],
      );
    });

    lastTests(scene);
  });
