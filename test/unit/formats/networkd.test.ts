// Files of systemd-networkd as its own documentation writes them, with repeated sections, drop-ins and matches.
import assert from "node:assert/strict";
import { test } from "node:test";
import { read } from "./memoryFiles.ts";

const none = { addresses: [], routes: [], neighbours: [] };
const nic = { kind: "nic", ...none };
const vxlan = { kind: "vxlan", ...none, remotes: [], fdb: [], learning: true };

test("head-end replication by repeated sections, and a bridge", () => {
  const files = {
    "/n/10-vx.netdev":
      "[NetDev]\nName=vx7\nKind=vxlan\nMTUBytes=1400\n\n[VXLAN]\nVNI=7\nLocal=10.0.0.1\nMacLearning=no\n" +
      "DestinationPort=4789\nIndependent=yes\n",
    "/n/10-vx.network": `[Match]
Name=vx7
[Network]
Bridge=br7
LinkLocalAddressing=no
[BridgeFDB]
MACAddress=00:00:00:00:00:00
Destination=10.0.0.2
[BridgeFDB]
MACAddress=00:00:00:00:00:00
Destination=10.0.0.3
[BridgeFDB]
MACAddress=02:00:00:00:00:07
Destination=10.0.0.3
`,
    "/n/20-br.netdev":
      "# a comment\n; another\n[NetDev]\nName = br7\nKind=bridge\n[Bridge]\nSTP=yes\nForwardDelaySec=4s\n",
    "/n/20-br.network": `[Match]
Name=br7
[Network]
Address=10.7.0.1/24
Gateway=10.7.0.254
[Address]
Address=fd00:7::1/64
[Route]
Destination=10.8.0.0/16
Gateway=10.7.0.2
GatewayOnLink=yes
PreferredSource=10.7.0.1
Metric=9
[Neighbor]
Address=10.7.0.9
LinkLayerAddress=02:00:00:00:00:09
`,
  };
  const { links, notes, problems } = read("networkd", files, ["/n"]);
  assert.deepEqual([...problems, ...notes], []);
  assert.deepEqual(links, {
    br7: {
      kind: "bridge",
      addresses: ['"10.7.0.1/24"', '"fd00:7::1/64"'],
      routes: [
        '{"to":"0.0.0.0/0","via":"10.7.0.254"}',
        '{"to":"10.8.0.0/16","via":"10.7.0.2","source":"10.7.0.1","metric":9,"onlink":true}',
      ],
      neighbours: ['{"ip":"10.7.0.9","mac":"02:00:00:00:00:09"}'],
      stp: true,
      forwardDelay: 4,
    },
    vx7: {
      ...vxlan,
      mtu: 1400,
      master: "br7",
      vni: 7,
      port: 4789,
      learning: false,
      local: "10.0.0.1",
      remotes: ['"10.0.0.2"', '"10.0.0.3"'],
      fdb: ['{"mac":"02:00:00:00:00:07","dst":"10.0.0.3"}'],
    },
  });
});

test("a parent names what stands on it, in its file or in drop-ins; the kernel's port where none is given", () => {
  const files = {
    "/n/eth2.network": "[Match]\nName=eth2\n[Network]\nAddress=10.0.0.1/24\nVXLAN=encap\n",
    "/n/eth2.network.d/more.conf": "[Network]\nVLAN=v5 v6\n",
    "/n/eth3.network.d/weft.conf": "[Match]\nName=eth3\n[Network]\nTunnel=g\n",
    "/n/encap.netdev": "[NetDev]\nName=encap\nKind=vxlan\n[VXLAN]\nId=236\nGroup=239.0.0.236\nTTL=5\n",
    "/n/g.netdev":
      "[NetDev]\nName=g\nKind=ip6gretap\n[Tunnel]\nLocal=fd00::1\nRemote=fd00::2\nInputKey=5\nOutputKey=5\n" +
      "EncapsulationLimit=none\n",
    "/n/v5.netdev": "[NetDev]\nName=v5\nKind=vlan\n[VLAN]\nId=5\nProtocol=802.1ad\n",
    "/n/v6.netdev": "[NetDev]\nName=v6\nKind=vlan\n[VLAN]\nId=6\n",
  };
  const { links, notes, problems } = read("networkd", files, ["/n"]);
  assert.deepEqual([...problems, ...notes], []);
  assert.deepEqual(links["encap"], { ...vxlan, vni: 236, group: "239.0.0.236", ttl: 5, dev: "eth2", port: 8472 });
  assert.deepEqual(links["g"], { kind: "gretap", ...none, local: "fd00::1", remote: "fd00::2", key: 5, dev: "eth3" });
  assert.deepEqual(links["v5"], { kind: "vlan", ...none, parent: "eth2", id: 5, outer: true });
  assert.deepEqual(links["v6"], { kind: "vlan", ...none, parent: "eth2", id: 6, outer: false });
  assert.deepEqual(links["eth3"], nic);
});

test("the first file by name that matches counts; patterns match links that are known", () => {
  const files = {
    "/n/a.netdev": "[NetDev]\nName=br1\nKind=bridge\n",
    "/n/b.netdev": "[NetDev]\nName=br2\nKind=bridge\n",
    "/n/10.network": "[Match]\nName=br1\n[Network]\nAddress=10.1.0.1/24\n",
    "/n/20.network": "[Match]\nName=br*\n[Network]\nAddress=10.2.0.1/24\n",
  };
  const { links, notes } = read("networkd", files, ["/n"]);
  assert.deepEqual(notes, ["/n/20.network:2: br1: 10.network matches it before this file"]);
  const bridge = { kind: "bridge", ...none, stp: false, forwardDelay: 15 };
  assert.deepEqual(links["br1"], { ...bridge, addresses: ['"10.1.0.1/24"'] });
  assert.deepEqual(links["br2"], { ...bridge, addresses: ['"10.2.0.1/24"'] });
});

test("what is not read is named with its line; wrong lines are problems", () => {
  const files = {
    "/n/a.netdev": "[NetDev]\nName=bond0\nKind=bond\n",
    "/n/b.netdev": "[NetDev]\nName=v\nKind=vxlan\n[VXLAN]\nVNI=1\nFDBAgeingSec=10\nGroup=10.0.0.1\n",
    "/n/c.network": "[Match]\nMACAddress=00:00:00:00:00:01\n[Network]\nAddress=10.0.0.1/8\n",
    "/n/d.network":
      "[Match]\nName=eth0\n[Network]\nDHCP=yes\nDNS=10.0.0.53\n[Route]\nDestination=10.0.0.0/8\nTable=5\n",
    "/n/e.network": "[Match]\nName=zz*\n",
    "/n/f.netdev": "stray\n[NetDev]\nnothing\n",
  };
  const { notes, problems } = read("networkd", files, ["/n"]);
  assert.deepEqual(notes, [
    "/n/a.netdev:3: bond0: Kind=bond: links of this kind are not read",
    "/n/b.netdev:6: [VXLAN] FDBAgeingSec=10: this key is not read",
    "/n/c.network:1: c.network: only files that match links by Name are read",
    "/n/d.network:4: DHCP=yes: this is not read",
    "/n/d.network:5: [Network] DNS=10.0.0.53: this key is not read",
    "/n/d.network:8: [Route] Destination=10.0.0.0/8 Table=5: with Table it is not read",
    "/n/e.network:1: e.network: no link that is read matches it",
  ]);
  assert.deepEqual(problems, [
    "/n/f.netdev:1: stray: this is no line of a section",
    "/n/f.netdev:3: nothing: this is no line of a section",
    "/n/b.netdev:7: group 10.0.0.1: this is not a multicast address",
    "/n/f.netdev:1: f.netdev: it has no Name or no Kind in [NetDev]",
  ]);
});
