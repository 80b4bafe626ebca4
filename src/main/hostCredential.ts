// By what the agent of this host proves who it is: the key and certificate of its state directory, or a join token.
import { existsSync, readFileSync } from "node:fs";
import type { Disk } from "../agent/server/stateDir.ts";
import { HostCredential, isFor } from "../client/hostCredential.ts";
import { attemptOf } from "../files/files.ts";
import { defined } from "../model/defined.ts";
import { Fault } from "../model/fault.ts";
import { newKey } from "../tls/key.ts";
import { checkPin, type JoinToken, joinTokenOf } from "../tls/names.ts";

type Told = { readonly "state-dir": string; readonly "join-token-file"?: string; readonly "ca-pin"?: string };

/**
 * Throws a Fault if the state directory is of another host, or a host that was never let in has nothing to join with.
 * One that was let in starts in any case: a token may come later.
 */
export function hostCredential(disk: Disk, host: string, told: Told): HostCredential {
  const identity = disk.identity();
  if (identity !== undefined && identity.host !== host) {
    throw new Fault("host-claimed", {
      what: `this state directory belongs to host ${identity.host}, not to ${host}`,
      where: told["state-dir"],
      fix: `start it with --host ${identity.host}, or with another --state-dir`,
    });
  }
  const named = told["ca-pin"];
  const pin = named === undefined ? undefined : checkPin(named, "--ca-pin");
  const key = disk.proposal(newKey);
  const saved = disk.certificate();
  const given = saved !== undefined && attemptOf(() => isFor(saved, key)) === true ? saved : undefined;
  const joinToken = () => {
    const token = tokenIn(told["join-token-file"], host, pin);
    // A host that was let in may come back after a rotation: its token is younger than the pin that it began with.
    return identity === undefined ? { ...token, ...defined({ pin: pin ?? token.pin }) } : token;
  };
  if (given === undefined && identity === undefined) joinToken();
  const trust = pin === undefined ? undefined : { pin };
  return new HostCredential({ key, joinToken, ...defined({ given, trust }) });
}

type Joined = { readonly host: string; readonly cluster: string };

/** A Fault `unavailable` if the disk refuses it: what is there stays good until the certificate expires. */
export function saveCredential(disk: Disk, joined: Joined, { key, given }: HostCredential): void {
  disk.saveIdentity({ ...joined, key });
  if (given !== undefined) disk.saveCertificate(given);
}

/** Joins again after the host was removed: with the join token, and with a new key. */
export function renewal(disk: Disk, file: string | undefined, renew: (key: string) => void): () => boolean {
  const refused = new Set<string>();
  return () => {
    if (file === undefined || !existsSync(file)) return false;
    const key = disk.nextProposal(newKey, refused);
    refused.add(key);
    renew(key);
    return true;
  };
}

function tokenIn(file: string | undefined, host: string, pin: string | undefined): JoinToken {
  const what = `host ${host} has no certificate, and there is no token to join with`;
  const fix =
    "give --join-token-file with a copy of the server's join.token, or what weft host token create has printed";
  if (file === undefined) throw new Fault("token-wrong", { what, fix });
  const token = joinTokenOf(textIn(file, what, fix));
  if (token.pin !== undefined || pin !== undefined) return { ...token, pin: token.pin ?? pin ?? "" };
  const why = "it does not say which CA to trust: it is one of an earlier build";
  throw new Fault("token-wrong", {
    what: "the join token has no pin",
    where: file,
    why,
    fix: `${fix}; or add --ca-pin`,
  });
}

function textIn(file: string, what: string, fix: string): string {
  try {
    const token = readFileSync(file, "utf8").trim();
    if (token === "") throw new Error("the file is empty");
    return token;
  } catch (cause) {
    throw new Fault("token-wrong", { what, where: file, why: String(cause), fix }, { cause });
  }
}
