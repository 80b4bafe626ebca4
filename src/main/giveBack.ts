// What a purge does first: gives devices back that were taken over. The host may be reached by their bridges.
import { bridgeKey, type TakeOver } from "../agent/reconcile/takeOver.ts";
import { openDisk } from "../agent/server/stateDir.ts";
import type { KernelState } from "../datapath/state/state.ts";
import { realFiles } from "../files/real.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { HostUse } from "../kernel/takeOver/types.ts";
import { Fault } from "../model/fault.ts";

/** Take-overs of this boot that the agent wrote down. */
export function savedIn(directory: string | undefined, bootId: string): readonly TakeOver[] {
  const all = directory === undefined ? [] : openDisk(directory, realFiles).takeOvers();
  return all.filter((one) => one.bootId === bootId);
}

type GivingKernel = Pick<Kernel, "observe" | "hostUse" | "giveBack">;
type Taken = Pick<TakeOver, "bridge" | "use">;

/**
 * What the agent wrote down, whatever state that is in by now, and ports of bridges with the host's addresses that
 * no file tells of. Gives a line for each device; a Fault `kernel-refused` if one could not be given back.
 */
export async function giveBackDevices(kernel: GivingKernel, saved: readonly TakeOver[]): Promise<readonly string[]> {
  const state = await kernel.observe([]);
  const devices = new Set(saved.map(({ use }) => use.device));
  const unsaved = portsWithUse(kernel, state).filter(({ use }) => !devices.has(use.device));
  const lines: string[] = [];
  for (const one of [...saved, ...unsaved]) lines.push(await giveBack(kernel, one, state.has(bridgeKey(one.bridge))));
  return lines;
}

function portsWithUse(kernel: GivingKernel, state: KernelState): readonly Taken[] {
  return [...state.values()].flatMap((object) => {
    const use = object.kind === "port" ? kernel.hostUse(object.master) : undefined;
    return object.kind !== "port" || use === undefined || !hasSome(use)
      ? []
      : [{ bridge: object.master, use: { ...use, device: object.dev } }];
  });
}

/** What is on the bridge goes back; if there is nothing any more, what was saved. */
async function giveBack(kernel: GivingKernel, { bridge, use }: Taken, isOurs: boolean): Promise<string> {
  const { device } = use;
  const onBridge = isOurs ? kernel.hostUse(bridge) : undefined;
  const isSure = onBridge !== undefined && hasSome(onBridge);
  if (kernel.hostUse(device) === undefined && !isSure) return `${device} is not there any more: nothing to give back`;
  const refusal = await kernel.giveBack({ use, bridge, isSure });
  if (refusal !== undefined) throw notGivenBack(device, bridge, refusal.message);
  const now = kernel.hostUse(device);
  const routes = [...new Set(now?.routes.map(({ dst }) => (dst.endsWith("/0") ? "default route" : dst)))];
  return `gave back ${device}: ${[...(now?.addresses ?? []).map(({ cidr }) => cidr), ...routes].join(", ")}`;
}

function hasSome({ addresses, routes }: HostUse): boolean {
  return addresses.length + routes.length > 0;
}

function notGivenBack(device: string, bridge: string, why: string): Fault {
  return new Fault("kernel-refused", {
    what: `what the host has on ${bridge} cannot be given back to ${device}`,
    why,
    fix: `move the addresses and routes yourself, then run weft purge again: the host is reached by ${bridge}`,
  });
}
