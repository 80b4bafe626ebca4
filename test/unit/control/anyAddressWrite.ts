// For property tests: writes to a cluster that has its hosts and networks, mostly about who gets which addresses.
import fc from "fast-check";
import type { Write } from "../../../src/control/write.ts";
import { anyNetwork, anyReserve, anyTenant } from "./anyReserve.ts";
import { address, anyWrite, host, places, span } from "./anyWrite.ts";
import { ADMIN } from "./lab.ts";

const attaches: fc.Arbitrary<Write> = fc
  .record({
    network: anyNetwork,
    host,
    tenant: anyTenant,
    owner: fc.constantFrom("a", "b", "c", "d"),
    addresses: fc.option(fc.array(address, { maxLength: 1 })),
    mac: fc.constantFrom(undefined, undefined, undefined, "02:00:0a:00:00:03", "0e:00:00:00:00:01"),
  })
  .map(({ addresses, mac, tenant, ...rest }): Write => {
    const wish = { ...(addresses === null ? {} : { addresses }), ...(mac === undefined ? {} : { mac }) };
    const whose = tenant === undefined ? {} : { tenant };
    return { verb: "attach", by: ADMIN, claim: { ...rest, ifname: "eth0", netns: "/n", ...wish, ...whose } };
  });
const holds: fc.Arbitrary<Write> = fc
  .record({ network: anyNetwork, span })
  .map(({ network, span: { first, ...rest } }): Write => {
    return {
      verb: "hold",
      request: { network, first, ...rest, reason: "because", owner: "ops", expiresInSeconds: 40 },
    };
  });
const releases: fc.Arbitrary<Write> = fc
  .record({ network: anyNetwork, span })
  .map(({ network, span: { first, ...rest } }): Write => ({ verb: "release", span: { network, first, ...rest } }));
const detaches: fc.Arbitrary<Write> = fc
  .constantFrom("a.eth0", "b.eth0", "c.eth0", "d.eth0")
  .map((endpoint): Write => ({ verb: "detach", endpoint, by: ADMIN, force: true }));
const migrates: fc.Arbitrary<Write> = fc
  .record({ from: anyNetwork, to: anyNetwork })
  .map((request): Write => ({ verb: "migrate", request }));

export const anyAddressWrite: fc.Arbitrary<Write> = fc.oneof(
  { weight: 8, arbitrary: anyReserve },
  { weight: 6, arbitrary: attaches },
  { weight: 3, arbitrary: detaches },
  { weight: 2, arbitrary: holds },
  { weight: 1, arbitrary: releases },
  { weight: 1, arbitrary: migrates },
  { weight: 1, arbitrary: fc.constant<Write>({ verb: "expire" }) },
  { weight: 3, arbitrary: anyWrite },
);

const HOSTS = ["h1", "h2", "h3"];
/** Where it begins. */
export const CLUSTER: readonly Write[] = [
  ...HOSTS.map((each, i): Write => {
    const claim = { host: each, underlay: `192.168.0.${i + 1}`, underlayMtu: 1500, hostPrefixes: [] };
    return { verb: "join", claim, by: { role: "host", host: each } };
  }),
  { verb: "put", kind: "network", name: "red", spec: { vrf: "one", ...places.mixed } },
  {
    verb: "put",
    kind: "network",
    name: "green",
    spec: { vrf: "two", ...places.small, quotas: [{ tenant: "acme", leases: 3 }] },
  },
  { verb: "put", kind: "network", name: "blue", spec: { vrf: "one", ...places.dualRanges } },
];
