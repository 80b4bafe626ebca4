// For property tests: reservations, of networks as anyWrite makes them and of each other.
import fc from "fast-check";
import type { NetworkInput } from "../../../src/model/input.ts";
import type { Write } from "../../../src/control/write.ts";

const RESERVATIONS = ["r1", "r2"] as const;
/** What may be reserved from: any network, and reservations. */
export const anyNetwork = fc.constantFrom("red", "green", "blue", "red", "green", "blue", ...RESERVATIONS);
const reservation = fc.constantFrom(...RESERVATIONS, ...RESERVATIONS, "red");
export const anyTenant = fc.constantFrom(undefined, undefined, "acme", "zen");
export const anyQuotas = fc.constantFrom(
  [{ tenant: "acme", leases: 3 }],
  [
    { tenant: "acme", leases: 5 },
    { tenant: "zen", leases: 1 },
  ],
);
const pieces = fc.constantFrom<NonNullable<NetworkInput["ranges"]>>(
  [{ name: "piece-1", type: "ip4", first: "10.0.0.3", size: 1 }],
  [{ name: "piece-1", type: "ip4", first: "10.0.0.2", size: 2 }],
  [
    { name: "piece-1", type: "ip4", first: "10.0.0.3", size: 2 },
    { name: "b", type: "ip4-6-static", first: "10.0.1.4", first6: "fd00:1::9", size: 1 },
  ],
);

const reserves: fc.Arbitrary<Write> = fc
  .record({
    network: anyNetwork,
    name: reservation,
    size: fc.constantFrom(1, 1, 2, 3, 20),
    first: fc.constantFrom(undefined, undefined, "10.0.0.3", "10.0.1.4", "fd00:1::9", "02:00:0a:00:00:03"),
    range: fc.constantFrom(undefined, undefined, undefined, "a", "piece-1"),
    tenant: anyTenant,
  })
  .map(({ network, name, size, first, range, tenant }): Write => {
    const wish = { ...(first === undefined ? {} : { first }), ...(range === undefined ? {} : { range }) };
    return { verb: "reserve", network, request: { name, size, ...wish, ...(tenant === undefined ? {} : { tenant }) } };
  });
const puts: fc.Arbitrary<Write> = fc
  .record({
    name: reservation,
    reservedFrom: anyNetwork,
    ranges: pieces,
    tenant: anyTenant,
    quarantine: fc.constantFrom(0, 60),
  })
  .map(({ name, tenant, ...rest }): Write => {
    return { verb: "put", kind: "network", name, spec: { ...rest, ...(tenant === undefined ? {} : { tenant }) } };
  });
const deletes: fc.Arbitrary<Write> = fc
  .record({ name: reservation, force: fc.boolean() })
  .map(({ name, force }): Write => ({ verb: "delete", kind: "network", name, force }));

export const anyReserve: fc.Arbitrary<Write> = fc.oneof(
  { weight: 5, arbitrary: reserves },
  { weight: 2, arbitrary: puts },
  { weight: 1, arbitrary: deletes },
);
