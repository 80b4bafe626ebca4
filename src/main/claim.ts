// What a host says of itself when it joins: what it was told in settings, and what its kernel shows of that.
import type { Underlay } from "../agent/server/join.ts";
import { wordsOf } from "../cli/input/settings.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { defined } from "../model/defined.ts";
import type { HostClaim } from "../model/input.ts";
import { type PhysicalDevice, parsePhysical } from "../model/physical.ts";

type Settings = { readonly slices?: string; readonly physical?: string };

/** Refuses settings that no claim can be made of. */
export function checkClaim({ slices, physical }: Settings): void {
  if (slices !== undefined) wordsOf(slices, "--slices");
  physicalIn(physical);
}

function physicalIn(text: string | undefined): readonly PhysicalDevice[] {
  return text === undefined ? [] : parsePhysical(wordsOf(text, "--physical"), "--physical");
}

type Claiming = Pick<HostClaim, "host"> & {
  readonly kernel: Pick<Kernel, "facts" | "shaping" | "features" | "devices" | "underlayDevice">;
  readonly underlay: Underlay;
  /** Names of devices that are asked for, beside those of the settings. */
  readonly devices: () => readonly string[];
};

export function claimOf(claiming: Claiming, settings: Settings): () => Promise<HostClaim> {
  const { kernel, host, underlay, devices } = claiming;
  const { slices } = settings;
  const physical = physicalIn(settings.physical);
  return async () => ({
    host,
    ...(await underlayOf(kernel, underlay)),
    ...devicesOf(kernel, [...new Set([...physical.map(({ device }) => device), ...devices()])].sort()),
    hostPrefixes: kernel.facts().prefixes,
    bootId: kernel.facts().bootId,
    shaping: kernel.shaping(),
    features: kernel.features(),
    ...(slices === undefined ? {} : { slices: wordsOf(slices, "--slices") }),
    ...(physical.length === 0 ? {} : { physical }),
  });
}

async function underlayOf(kernel: Claiming["kernel"], underlay: Underlay) {
  const found = await underlay.now();
  return { ...found, ...defined({ underlayDevice: kernel.underlayDevice(found.underlay) }) };
}

function devicesOf(kernel: Claiming["kernel"], names: readonly string[]): Pick<HostClaim, "devices"> {
  return names.length === 0 ? {} : { devices: kernel.devices(names) };
}
