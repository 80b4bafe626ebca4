// What a host says of itself when it joins: what it was told in settings, and what its kernel shows of that.
import type { Underlay } from "../agent/server/join.ts";
import type { Mirror } from "../client/mirror.ts";
import { wordsOf } from "../cli/input/settings.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { defined } from "../model/defined.ts";
import { FEATURE_NAMES } from "../model/features.ts";
import { Fault } from "../model/fault.ts";
import { devicesToTell } from "../model/hostDevices.ts";
import type { HostClaim } from "../model/input.ts";
import { type PhysicalDevice, parsePhysical } from "../model/physical.ts";

type Settings = { readonly slices?: string; readonly physical?: string; readonly "take-over"?: string };

/** Refuses settings that no claim can be made of. */
export function checkClaim(settings: Settings): void {
  if (settings.slices !== undefined) wordsOf(settings.slices, "--slices");
  physicalIn(settings);
}

function physicalIn({ physical, "take-over": takeOver = "no" }: Settings): readonly PhysicalDevice[] {
  if (takeOver !== "yes" && takeOver !== "no")
    throw new Fault("request-invalid", {
      what: `"${takeOver}" does not say whether devices may be taken over`,
      where: "--take-over",
      fix: "write yes or no",
    });
  return physical === undefined ? [] : parsePhysical(wordsOf(physical, "--physical"), "--physical", takeOver === "yes");
}

type Claiming = Pick<HostClaim, "host"> & {
  readonly kernel: Pick<Kernel, "facts" | "shaping" | "features" | "devices" | "underlayDevice">;
  readonly underlay: Underlay;
  /** Says which devices are asked for, beside those of the settings. */
  readonly mirror: Pick<Mirror, "snapshot" | "isSynced">;
  /** Addresses of the server. */
  readonly servers: () => readonly string[];
};

export function claimOf(claiming: Claiming, settings: Settings): () => Promise<HostClaim> {
  const { kernel, host, underlay, mirror, servers } = claiming;
  const { slices } = settings;
  const physical = physicalIn(settings);
  return async () => ({
    host,
    ...(await underlayOf(kernel, underlay)),
    ...devicesOf(
      kernel,
      [...new Set([...physical.map(({ device }) => device), ...devicesToTell(mirror.snapshot(), host)])].sort(),
      servers(),
    ),
    // The snapshot on disk may be older than a network. If this host took back what it said of its device, the peers
    // would refuse its packets until it says so again.
    ...(mirror.isSynced ? {} : { moreDevices: true }),
    hostPrefixes: kernel.facts().prefixes,
    bootId: kernel.facts().bootId,
    shaping: kernel.shaping(),
    ...(await featuresOf(kernel)),
    ...(slices === undefined ? {} : { slices: wordsOf(slices, "--slices") }),
    ...(physical.length === 0 ? {} : { physical }),
  });
}

async function underlayOf(kernel: Claiming["kernel"], underlay: Underlay) {
  const found = await underlay.now();
  return { ...found, ...defined({ underlayDevice: kernel.underlayDevice(found.underlay) }) };
}

async function featuresOf(kernel: Claiming["kernel"]) {
  const features = await kernel.features();
  return { features, lacks: FEATURE_NAMES.filter((feature) => !features.includes(feature)) };
}

function devicesOf(
  kernel: Claiming["kernel"],
  names: readonly string[],
  servers: readonly string[],
): Pick<HostClaim, "devices"> {
  return names.length === 0 ? {} : { devices: kernel.devices(names, servers) };
}
