// Moves members from one network to another. A migration becomes one move per endpoint, which the endpoint's host
// carries out: it attaches the new interface, reports that, detaches the old one, and reports that. Each step is a
// commit, so after a crash it continues after the last one.
import { type Cidr, contains, parseCidr, parseIp } from "../../../model/address.ts";
import { defined } from "../../../model/defined.ts";
import { Fault } from "../../../model/fault.ts";
import type { MigrationRequest } from "../../../model/input.ts";
import { slicesOn } from "../../../model/carrying.ts";
import { isOver } from "../../../model/kinds/membership.ts";
import {
  type Endpoint,
  type Membership,
  type Migration,
  type Move,
  type Network,
  membershipName,
  moveName,
} from "../../../model/resource.ts";
import { capacity, defaultGateway, sliceAt } from "../../../ipam/allocate.ts";
import type { Draft } from "../../state/draft.ts";
import { type View, get } from "../../state/view.ts";
import type { Delete, Write } from "../../write.ts";
import { usesOf } from "../../state/usage.ts";
import { endpointsOf, membershipsOf } from "../contents.ts";
import { checkEnabled, existing, refuseWhile } from "../context.ts";
import { usersOfLocal } from "./membership.ts";
import { endLease } from "../address/freed.ts";

/** Finished migrations that are kept for people to read. */
const KEPT = 20;

/** Makes the migration and its moves, or says before anything happens why it cannot be done. */
export function migrate(draft: Draft, request: MigrationRequest): Migration {
  const { view } = draft;
  const { from, to, workload, endpoint } = request;
  existing(view, "network", from, "from");
  const target = existing(view, "network", to, "to");
  if (from === to) {
    throw new Fault("request-invalid", {
      what: `source and destination are the same network, "${to}"`,
      where: "to",
      fix: "name two different networks",
    });
  }
  const members = membersOf(view, request);
  checkEnabled(target, "to");
  if (target.spec.ipam === "local" && members.some(({ access }) => access?.owner !== undefined)) throw usersOfLocal(to);
  checkRoom(view, target, members);
  forgetOld(draft);
  const name = `m${view.revision + 1}`;
  if (endpoint === undefined) moveMemberships(draft, from, to, workload);
  for (const member of members) {
    const { host, owner, addresses: oldAddresses } = member.spec;
    const move = { migration: name, endpoint: member.name, host, owner, from, to, oldAddresses };
    draft.put("move", moveName(name, member.name), { ...move, state: "pending" });
  }
  return draft.put("migration", name, { from, to, ...defined({ workload, endpoint }), members: members.length });
}

/**
 * What a host says of its move. When the endpoint has left its address is free in the same commit, whether or not the
 * host's journal has been registered with the server yet. Late and repeated words change nothing; of a move that is
 * gone there is no need.
 */
export function reportMove(
  draft: Draft,
  { move: name, report, by }: Extract<Write, { readonly verb: "move" }>,
): Move | undefined {
  const move = get(draft.view, "move", name);
  if (move === undefined) return undefined;
  if (by.role === "host" && by.host !== move.spec.host) {
    throw new Fault("forbidden", {
      what: `host "${by.host}" cannot say how far a move of host "${move.spec.host}" is`,
      fix: "use the other host's token",
    });
  }
  if (isOver(move)) return move;
  const { reason: _, ...spec } = move.spec;
  const old = get(draft.view, "endpoint", spec.endpoint);
  if (report.state === "left" && old?.spec.host === spec.host && old.spec.network === spec.from) endLease(draft, old);
  return draft.put("move", name, { ...spec, ...report });
}

/** Removes a migration; while it is not over, only with `force`: what has not moved stays, memberships come back. */
export function deleteMigration(draft: Draft, { name, force }: Delete): void {
  const { view } = draft;
  const moves = [...view.move.values()].filter((move) => move.spec.migration === name);
  const open = moves.filter((move) => !isOver(move));
  const members = open.map((move) => move.spec.endpoint);
  if (force !== true) {
    refuseWhile(members, {
      what: `migration "${name}" is not over`,
      why: "members are still on their way",
      fix: "wait for it, or use force: those that have not moved stay in the old network",
    });
  }
  for (const { spec } of open) {
    const { spec: { workload, joined } = {}, access } = get(view, "endpoint", spec.endpoint) ?? {};
    if (joined === true && workload !== undefined)
      putMembership(draft, { network: spec.from, workload, ...defined({ user: access?.owner }) });
  }
  for (const move of moves) draft.remove("move", move.name);
  draft.remove("migration", name);
}

/** Moves that can no longer be made end, because their host or one of their networks goes. */
export function endMoves(draft: Draft, isLost: (move: Move) => boolean): void {
  for (const move of draft.view.moving.values())
    if (isLost(move)) draft.put("move", move.name, { ...move.spec, state: "gone" });
}

/** Endpoints on their way into or out of a network. */
export function movesThrough(view: View, network: string): string[] {
  return [...view.moving.values()]
    .filter(({ spec }) => spec.from === network || spec.to === network)
    .map(({ spec }) => spec.endpoint);
}

function membersOf(view: View, { from, workload, endpoint }: MigrationRequest): Endpoint[] {
  if (endpoint !== undefined) existing(view, "endpoint", endpoint, "endpoint");
  const members = endpointsOf(view, from).filter(
    ({ name, spec }) =>
      (endpoint === undefined || name === endpoint) &&
      (workload === undefined || spec.workload === workload) &&
      spec.detaching !== true,
  );
  if (members.length === 0) {
    const whose = endpoint ?? (workload === undefined ? "anything" : `an instance of workload "${workload}"`);
    throw new Fault("not-found", {
      what: `network "${from}" does not have ${whose}`,
      where: endpoint === undefined ? (workload === undefined ? "from" : "workload") : "endpoint",
      fix: `see \`weft network members ${from}\``,
    });
  }
  const moving = members.map(({ name }) => name).filter((name) => view.moving.has(name));
  refuseWhile(moving, {
    what: `endpoints of network "${from}" are on their way already`,
    why: "another migration moves them",
    fix: "wait for it, see `weft network migration list`",
  });
  const [only] = members;
  if (endpoint !== undefined && only?.spec.joined === true && isMember(view, only)) {
    throw new Fault("in-use", {
      what: `endpoint "${endpoint}" cannot move alone`,
      why: `workload "${only.spec.workload}" is a member of network "${from}", so its host would make it again`,
      fix: `migrate the workload: --workload ${only.spec.workload}`,
    });
  }
  return members;
}

function isMember(view: View, { spec: { network, workload }, access }: Endpoint): boolean {
  if (workload === undefined) return false;
  return view.membership.has(membershipName({ network, workload, ...defined({ user: access?.owner }) }));
}

function putMembership(draft: Draft, spec: Membership["spec"]): void {
  draft.put("membership", membershipName(spec), spec);
}

/** Memberships of the old network become memberships of the new one. */
function moveMemberships(draft: Draft, from: string, to: string, only: string | undefined): void {
  for (const membership of membershipsOf(draft.view, from)) {
    if (only !== undefined && membership.spec.workload !== only) continue;
    draft.remove("membership", membership.name);
    putMembership(draft, { ...membership.spec, network: to });
  }
}

/** Refuses what would end half done: each family, and in a local network each host, must have room for all. */
function checkRoom(view: View, to: Network, members: readonly Endpoint[]): void {
  const there = new Set(endpointsOf(view, to.name).map(residence));
  const coming = members.filter((member) => !there.has(residence(member)));
  const lacking = to.spec.ipam === "global" ? globalLack(view, to, coming.length) : localLack(view, to, coming);
  if (lacking.length === 0) return;
  throw new Fault("exhausted", {
    what: `network "${to.name}" has too few free addresses for ${coming.length} members`,
    where: "to",
    why: "nothing was moved",
    fix: "free some, migrate fewer (--workload, --endpoint), or choose a larger network",
    blockers: lacking,
  });
}

function residence({ spec }: Endpoint): string {
  return `${spec.host} ${spec.owner} ${spec.netns}`;
}

/** What is in quarantine counts as room: when nothing else is left, it is given. */
function globalLack(view: View, network: Network, coming: number): string[] {
  return usesOf(view, network).flatMap(({ family, total, used, held }) => {
    const free = total - used - held;
    return free >= coming ? [] : [`IPv${family}: ${free} free for ${coming}`];
  });
}

function localLack(view: View, network: Network, coming: readonly Endpoint[]): string[] {
  const endpoints = endpointsOf(view, network.name);
  return [...Map.groupBy(coming, ({ spec }) => spec.host)].flatMap(([host, all]) => {
    const parts = partsFor(view, network, host);
    if (parts.length === 0) return [`host ${host}: no block for ${all.length}`];
    return parts.flatMap((part) => {
      const used = endpoints.filter(
        ({ spec }) => spec.host === host && spec.addresses.some((ip) => contains(part, parseIp(ip, ""))),
      );
      const free = capacity(part, defaultGateway(part)) - BigInt(used.length);
      return free >= BigInt(all.length) ? [] : [`host ${host}: ${free} free for ${all.length}`];
    });
  });
}

/** Where a host puts an attach that names no slice: its blocks, or the first slice of them that it has bridges for. */
function partsFor(view: View, network: Network, name: string): Cidr[] {
  const blocks = Object.values(view.networks.get(network.name)?.blocks.get(name) ?? {});
  const cidrs = blocks.map((block) => parseCidr(block.spec.cidr, block.name));
  const slices = network.spec.slices ?? [];
  const host = get(view, "host", name);
  const vrf = get(view, "vrf", network.spec.vrf);
  if (slices.length === 0 || host === undefined || vrf === undefined) return cidrs;
  const n = slices.findIndex((slice) => slice === slicesOn(vrf, network, host)[0]);
  return n < 0 ? [] : cidrs.map((block) => sliceAt(block, n, slices.length));
}

/** The oldest finished ones go, so that years of them do not pile up. */
function forgetOld(draft: Draft): void {
  const { view } = draft;
  const open = new Set([...view.moving.values()].map((move) => move.spec.migration));
  const over = [...view.migration.values()]
    .filter((migration) => !open.has(migration.name))
    .sort((a, b) => b.revision - a.revision);
  for (const { name } of over.slice(KEPT - 1)) deleteMigration(draft, { name });
}
