// What a network or VRF has while a conversion is on its way: what still counts, and what comes.
import { converts, wayBefore, withCarriage } from "../../model/conversion.ts";
import type { Phase } from "../../model/kinds/conversion.ts";
import { type Conversion, type Network, type Snapshot, type Vrf, listIn } from "../../model/resource.ts";

type Former<T> = { readonly before: T; readonly phase: Phase };

/** The network and its VRF as they were before the conversion that is about its frames; undefined without one. */
export function formerWay(
  network: Network,
  vrf: Vrf | undefined,
  snapshot: Snapshot,
): Former<ReturnType<typeof wayBefore>> | undefined {
  const conversion = listIn(snapshot, "conversion").find((one) => converts(one, network));
  if (conversion === undefined || vrf === undefined) return undefined;
  return { before: wayBefore(conversion, vrf, network), phase: conversion.spec.phase };
}

/** The VRF as it was before its own conversion. */
export function formerVrf(vrf: Vrf, conversions: readonly Conversion[]): Former<Vrf> | undefined {
  const own = conversions.find(({ spec }) => spec.vrf === vrf.name && spec.network === undefined);
  if (own === undefined) return undefined;
  return { before: { ...vrf, spec: withCarriage(vrf.spec, own.spec.from) }, phase: own.spec.phase };
}

type Field = readonly [name: string, text: string | undefined];

/** Fields, and of each that changes both values: `4097, changing to 5000 (phase receive)`. */
export function changingFields(now: readonly Field[], former: Former<readonly Field[]> | undefined): readonly Field[] {
  if (former === undefined) return now;
  const before = new Map(former.before);
  return now.map(([name, text]): Field => {
    const was = before.get(name);
    return [name, was === text ? text : `${was ?? "none"}, changing to ${text ?? "none"} (phase ${former.phase})`];
  });
}
