// Moves conversions from phase to phase: when all member hosts have reported the revision of a phase, and nothing in it
// was refused, the next one begins. Depends on what is stored and on the latest reports alone, so a server that was
// killed continues when hosts have reported again.
import type { Clock } from "../../model/clock.ts";
import { DRIVERS, type Driver, encapsulationOf, packetsText } from "../../model/driver.ts";
import { Fault } from "../../model/fault.ts";
import { conversionText, phaseAfter } from "../../model/conversion.ts";
import type { Conversion } from "../../model/resource.ts";
import type { HostStatus } from "../../model/status.ts";
import { networksOf } from "../admit/contents.ts";
import { membersOf } from "../admit/network/convert.ts";
import type { Committer } from "../commit/committer.ts";
import type { Condition } from "../report/conditions.ts";
import type { Reports } from "../report/reports.ts";
import { type View, get, listOf } from "../state/view.ts";

/** How often conversions are looked at. */
const LOOK_MS = 200;
/** What was sent the former way has arrived long before: only then does a host stop to receive it. */
const LAST_MS = 1_000;

/** The host, and why it is not where the conversion is. */
type Laggard = { readonly host: string; readonly why: string };

/**
 * Hosts that have not reported the phase of a conversion; before they send the new way, also those from which packets
 * do not pass that way yet.
 */
function laggardsOf(view: View, reports: Reports, conversion: Conversion): Laggard[] {
  const members = membersOf(view, conversion).toSorted();
  const channels = conversion.spec.phase === "receive" ? channelsTo(view, conversion) : [];
  return members.flatMap((host): Laggard[] => {
    const why =
      delayOf(reports, host, conversion.revision) ??
      obstacleOf(reports.latest(host), members, channels) ??
      deafness(reports.latest(host), conversion);
    return why === undefined ? [] : [{ host, why }];
  });
}

type Channel = { readonly driver: Driver; readonly port: number };

/** What has to pass between hosts when the conversion is over. */
function channelsTo(view: View, { spec }: Conversion): readonly Channel[] {
  const { tunnelPort = 0 } = get(view, "vrf", spec.vrf)?.spec ?? {};
  const networks = networksOf(view, spec.vrf).filter(({ name }) => spec.network === undefined || spec.network === name);
  // What Open vSwitch carries, no agent probes.
  const probed = networks.filter(({ spec: { driver } }) => driver !== "ovs");
  const drivers = new Set(probed.flatMap((network) => encapsulationOf(network.spec) ?? []));
  return [...drivers].map((driver) => ({ driver, port: DRIVERS[driver].hasPort ? tunnelPort : 0 }));
}

/** Before hosts send to another group, it has to be delivered between all of them. */
function deafness(
  status: HostStatus | undefined,
  { spec: { phase, network, from, to } }: Conversion,
): string | undefined {
  if (phase !== "receive" || to.group === undefined || from.group === to.group) return undefined;
  const seen = status?.groups?.find((group) => group.network === network);
  if (status?.groups === undefined || (seen !== undefined && seen.proven === seen.peers)) return undefined;
  return `group ${to.group} is not proven to all other hosts yet`;
}

function obstacleOf(
  status: HostStatus | undefined,
  members: readonly string[],
  channels: readonly Channel[],
): string | undefined {
  // A host that cannot try says nothing.
  const tried = status?.paths?.channels;
  if (tried === undefined || members.length < 2) return undefined;
  for (const { driver, port } of channels) {
    const seen = tried.find((one) => one.driver === driver && one.port === port);
    const unproven = seen?.unproven.filter((host) => members.includes(host)) ?? members;
    if (unproven.length > 0)
      return `no packets pass to ${unproven.slice(0, 5).join(", ")} by ${packetsText(driver, port)} yet`;
  }
  return undefined;
}

function delayOf(reports: Reports, host: string, revision: number): string | undefined {
  const status = reports.latest(host);
  if (status !== undefined && status.revision >= revision) return undefined;
  const { state } = reports.liveness(host);
  if (state !== "ready") return `it is ${state}`;
  const [error] = status?.errors ?? [];
  return error ?? `it has not reported revision ${revision} yet`;
}

/** What a person should know of those that are on their way. */
export function conversionConditions(view: View, reports: Reports): Condition[] {
  return listOf(view, "conversion").map((conversion) => {
    const { vrf, network, phase } = conversion.spec;
    const what = network === undefined ? `VRF "${vrf}"` : `network "${network}"`;
    const waitsFor = laggardsOf(view, reports, conversion);
    const lag = waitsFor.map(({ host, why }) => `${host} (${why})`);
    const waits = lag.length === 0 ? `done on all hosts: ${nextText(conversion)}` : `waits for ${lag.join(", ")}`;
    return {
      reason: "converting",
      object: network === undefined ? `vrf/${vrf}` : `network/${network}`,
      message: `${what} is being converted, ${conversionText(conversion.spec)}: phase ${phase}, ${waits}`,
      waitsFor,
    };
  });
}

/** What comes when a phase is over. */
function nextText({ spec }: Conversion): string {
  const next = phaseAfter(spec);
  if (next === "receive") return "they take packets both ways next";
  if (next === "send") return "they send the new way next";
  return spec.phase === "send" ? "the former tunnel goes in a second" : "the conversion ends now";
}

type Parts = {
  readonly committer: Committer;
  readonly lifecycle: { readonly reports: Reports };
  readonly clock: Clock;
};

/** Runs until the signal aborts. If the store fails, it is asked again a moment later. */
export async function convertOn(
  { committer, lifecycle: { reports }, clock }: Parts,
  signal: AbortSignal,
): Promise<void> {
  /** Since when all hosts are in a phase, by its revision. */
  let there = new Map<number, number>();
  const look = async () => {
    await committer.settled();
    const { view } = committer;
    const before = there;
    there = new Map();
    for (const conversion of listOf(view, "conversion")) {
      const { name, revision } = conversion;
      const hosts = membersOf(view, conversion);
      if (laggardsOf(view, reports, conversion).length > 0) continue;
      const sinceMs = before.get(revision) ?? clock.monotonicMs();
      there.set(revision, sinceMs);
      const isLast = conversion.spec.phase === "send";
      if (isLast && clock.monotonicMs() - sinceMs < LAST_MS) continue;
      await committer.submit({ write: { verb: "advance-conversion", name, revision, hosts } });
    }
  };
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS, signal);
    if (!signal.aborted && committer.view.conversion.size > 0) await look().catch(unlessFault);
  }
}

function unlessFault(error: unknown): void {
  if (!(error instanceof Fault)) throw error;
}
