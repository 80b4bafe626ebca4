// Who pays for bridges that learn: the tables of VRFs with such a network, and its own ports' elements. What the kernel
// makes of it is test/netns/learning.kernel.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type NetworkSpec, type Resource, type ResourceOf, snapshotOf } from "../../../../src/model/resource.ts";
import { compile } from "../../../../src/datapath/compile.ts";
import { learningOf } from "../../../../src/datapath/policy/learning.ts";

const make = (kind: string, name: string, spec: object) => ({ kind, name, uid: name, revision: 1, spec }) as Resource;

/** Chains and sets for learning in the VRF's table, and keys of elements beside the endpoints' own. */
function builtFor(spoofing: NetworkSpec["spoofing"]): { readonly words: string[]; readonly elements: string[] } {
  const endpoint = (name: string, host: string, n: number) =>
    make("endpoint", name, {
      network: "blue",
      host,
      owner: name,
      ifname: "eth0",
      netns: `/run/netns/${name}`,
      mac: `02:00:0a:07:01:0${n}`,
      addresses: [`10.7.1.${n}`],
    });
  const state = compile(
    snapshotOf("c", 1, [
      make("host", "h1", { underlay: "192.0.2.1", underlayMtu: 1500, order: 1 }),
      make("host", "h2", { underlay: "192.0.2.2", underlayMtu: 1500, order: 2 }),
      make("vrf", "blue", {
        index: 1,
        vni: 4096,
        tunnelPort: 4789,
        vtepSubnets: [],
        vtepMacOui: "70:b3:d5",
        hostAccess: false,
      }),
      make("network", "blue", {
        driver: "vxlan",
        ipam: "global",
        vrf: "blue",
        vni: 7,
        subnets: [{ cidr: "10.7.0.0/16", gateway: "10.7.0.1" }],
        masquerade: false,
        enabled: true,
        spoofing,
      }),
      endpoint("a", "h1", 2),
      endpoint("b", "h2", 3),
    ]),
    "h1",
  );
  const objects = [...state.values()];
  const text = objects.flatMap((o) => (o.kind === "nft" && o.ns === "vrf:blue" ? [o.bridge ?? ""] : [])).join("");
  return {
    words: ["sources", "shares", "heard", "forward", "output", "copies"].filter((name) =>
      new RegExp(`^(chain|set) ${name} `, "m").test(text),
    ),
    elements: objects.flatMap((o) =>
      o.kind === "element" && (o.set === "floods" || o.key.startsWith("wx"))
        ? [`${o.set} ${o.key.replace(/^wp\w+/, "port")}`]
        : [],
    ),
  };
}

test("where no MAC is free, nothing is asked and kept", () => {
  for (const spoofing of [undefined, { ip: true, broadcasts: true, tags: true }])
    assert.deepEqual(builtFor(spoofing), { words: [], elements: [] });
});

test("where bridges learn, ports have shares", () => {
  assert.deepEqual(builtFor({ mac: true }), { words: ["sources", "shares"], elements: [] });
});

const ALL = ["sources", "shares", "heard", "forward", "output", "copies"];
const FLOODED = ["floods port", "floods wx7", "macs wx7 . 02:00:0a:07:01:03"];

test("where they flood as well, what is for nobody is counted, and what is for endpoints anywhere is not", () => {
  const { words, elements } = builtFor({ mac: true, broadcasts: true });
  assert.deepEqual(words, ALL);
  assert.deepEqual(elements.sort(), FLOODED);
});

test("where nothing else is filtered, learning and flooding are", () => {
  const open = { mac: true, broadcasts: true, dhcpServer: true, routerAdvertisements: true, tags: true };
  const { words, elements } = builtFor(open);
  assert.deepEqual(words, ALL);
  assert.deepEqual(elements.sort(), FLOODED);
});

test("the chains that bound learning, whole: with floods, without, and where nothing else has marked a port", () => {
  const parts = (spoofing: NetworkSpec["spoofing"], isOpen: boolean, group?: string) =>
    learningOf([{ spec: { spoofing, group } } as ResourceOf<"network">], isOpen);
  const chains = (...of: Parameters<typeof parts>) => parts(...of).chains;
  const copies = (hook: string, from: string, over: string, first = "") => `chain ${hook} {
  type filter hook ${hook} priority 0; policy accept;
${first}  oif . @ll,0,48 @heard accept
  oifname != @floods accept
  ether daddr & 01:00:00:00:00:00 != 00:00:00:00:00:00 accept
  oifname . @ll,0,48 @macs accept
  update @copies { ${from} . oifname limit rate 2000/second burst 2000 packets } accept
  ${over}
}
`;
  const sets = `set shares { typeof iifname . @ll,48,48; size 65536; flags dynamic,timeout; }
set newcomers { type ifname; size 65535; flags dynamic,timeout; timeout 65m; }
`;
  const heardSet = "set heard { typeof iif . @ll,48,48; size 65536; flags dynamic,timeout; }\n";
  const heard = `set heard { typeof iif . @ll,48,48; size 65536; flags dynamic,timeout; }
chain heard {
  iifname @floods update @heard { iif . @ll,48,48 timeout 5m }
}
`;
  const sources = (known: string, then: string) => `chain sources {
  type filter hook prerouting priority -200; policy accept;
  ${known} ${then}
  iifname . @ll,48,48 @macs accept
  iifname . @ll,48,48 @shares ${then}
  update @newcomers { iifname limit rate over 2/minute burst 128 packets } goto drop_15
  add @shares { iifname . @ll,48,48 timeout 55m } ${then}
  goto drop_15
}
`;
  const flooding = (first = "") => `set copies { type ifname . ifname; size 65535; flags dynamic,timeout; timeout 1m; }
${copies("forward", "iifname", "goto drop_8", first)}${copies("output", "oifname", "drop", first)}`;
  const [marked, open] = ["meta mark & 0x01000000 == 0", 'iifname != "wp*"'];
  const both = { mac: true, broadcasts: true };
  assert.equal(chains(both, false), heard + sets + sources(marked, "goto heard") + flooding());
  assert.equal(chains(both, true), heard + sets + sources(open, "goto heard") + flooding());
  // Of a group only tunnels flood and teach: nothing is looked up for ports of endpoints.
  assert.deepEqual(parts({}, false, "239.0.0.1"), {
    chains: heardSet + flooding('  oifname "wp*" accept\n'),
    elsewhere: ["update @heard { iif . @ll,48,48 timeout 5m }"],
    readsMark: false,
  });
  // Beside a network whose tunnels do not, only those that do are heard.
  const [grouped, plain] = ["239.0.0.1", undefined].map((of) => ({ spec: { group: of } }) as ResourceOf<"network">);
  assert.ok(grouped !== undefined && plain !== undefined);
  const heardByFlooding = ["iifname @floods update @heard { iif . @ll,48,48 timeout 5m }"];
  assert.deepEqual(learningOf([grouped, plain], false).elsewhere, heardByFlooding);
  // In the host's own namespace bridges of others pass there as well.
  assert.deepEqual(learningOf([grouped], false, "host").elsewhere, heardByFlooding);
  assert.equal(chains({ mac: true }, false), sets + sources(marked, "accept"));
  assert.equal(chains({ mac: true }, true), sets + sources(open, "accept"));
  assert.equal(chains({ broadcasts: true }, false), "");
});

test("in the host's own namespace, frames of others are not looked at, whatever their mark", () => {
  const network = { name: "n", spec: { spoofing: { mac: true }, ranges: [] } } as unknown as ResourceOf<"network">;
  const chainOf = (place: "host" | "own") =>
    /chain sources \{\n.*\n(.*)\n/.exec(learningOf([network], false, place).chains)?.[1]?.trim();
  assert.equal(chainOf("host"), 'iifname != "wp*" accept');
  assert.equal(chainOf("own"), "meta mark & 0x01000000 == 0 accept");
});
