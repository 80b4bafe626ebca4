// For property tests: writes to a cluster that has its hosts, a switched and a routed network of one VRF and endpoints,
// mostly about how frames cross between hosts.
import fc from "fast-check";
import type { Write } from "../../../src/control/write.ts";
import { anyWrite } from "./anyWrite.ts";
import { ADMIN } from "./lab.ts";

const HOSTS = ["h1", "h2", "h3"];
const PLACES = {
  segment: { vrf: "v", subnets: [{ cidr: "10.0.0.0/24" }] },
  near: { vrf: "v", subnets: [{ cidr: "9.0.0.0/16", hostPrefix: 24 }] },
} as const;
const vni = fc.constantFrom(5000, 5001, 5002);
const mtu = fc.constantFrom(1400, 1300);

const networks: fc.Arbitrary<Write> = fc
  .tuple(fc.constantFrom("segment" as const, "near" as const), fc.record({ vni, mtu }, { requiredKeys: [] }))
  .map(([name, { vni: own, ...fields }]): Write => {
    const spec = { ...PLACES[name], ...fields, ...(name === "near" || own === undefined ? {} : { vni: own }) };
    return { verb: "put", kind: "network", name, spec };
  });
const vrfs: fc.Arbitrary<Write> = fc
  .record({ vni, tunnelPort: fc.constantFrom(4789, 8472) }, { requiredKeys: [] })
  .map((spec): Write => ({ verb: "put", kind: "vrf", name: "v", spec }));
const endpoints: fc.Arbitrary<Write> = fc
  .record({ network: fc.constantFrom("segment", "near"), n: fc.constantFrom(0, 1, 2), isAttach: fc.boolean() })
  .map(({ network, n, isAttach }): Write => {
    const owner = `${network}${n}`;
    const claim = { network, host: HOSTS[n] ?? "h1", owner, ifname: "eth0", netns: "/n" };
    const own = network === "near" ? { addresses: [`9.0.${n}.7`] } : {};
    return isAttach
      ? { verb: "attach", by: ADMIN, claim: { ...claim, ...own } }
      : { verb: "detach", endpoint: `${owner}.eth0`, by: ADMIN, force: true };
  });

/** A word about a conversion is about the one that is there, of its phase or an earlier one; see `aimedAt`. */
export const anyConversionWrite: fc.Arbitrary<Write> = fc.oneof(
  { weight: 6, arbitrary: networks },
  { weight: 6, arbitrary: vrfs },
  { weight: 4, arbitrary: endpoints },
  { weight: 3, arbitrary: fc.constant<Write>({ verb: "delete", kind: "conversion", name: "v" }) },
  {
    weight: 10,
    arbitrary: fc
      .record({ revision: fc.constantFrom(0, 0, 0, 1), hosts: fc.constantFrom(HOSTS, HOSTS, ["h1"]) })
      .map((word): Write => ({ verb: "advance-conversion", name: "v", ...word })),
  },
  { weight: 2, arbitrary: anyWrite },
);

/** `revision` 0 means that of the conversion. */
export function aimedAt(write: Write, current: { readonly revision: number } | undefined): Write {
  return write.verb === "advance-conversion" && write.revision === 0 && current !== undefined
    ? { ...write, revision: current.revision }
    : write;
}

/** Where it begins. */
export const CARRIED: readonly Write[] = [
  ...HOSTS.map((host, i): Write => {
    const claim = { host, underlay: `192.168.0.${i + 1}`, underlayMtu: 1500, hostPrefixes: [] };
    return { verb: "join", claim, by: { role: "host", host } };
  }),
  ...(["segment", "near"] as const).map((name): Write => ({ verb: "put", kind: "network", name, spec: PLACES[name] })),
  {
    verb: "attach",
    by: ADMIN,
    claim: { network: "segment", host: "h1", owner: "segment0", ifname: "eth0", netns: "/n" },
  },
];
