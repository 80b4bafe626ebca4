// The two tokens that no API hands out: files in the server's data folder, readable by their owner only. What is in
// a file and what the server accepts are kept the same: a missing file gets a new token, and a file that was there
// before the server's first start (made by whoever provisions machines) is taken as it is.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Fault } from "../model/fault.ts";

/** What of the control plane decides about tokens. */
export type TokenKeeper = {
  hasToken(role: TokenRole): boolean;
  setToken(role: TokenRole, token: string): Promise<void>;
  newToken(): string;
};
export type TokenRole = "admin" | "join";

const SHORTEST = 32;

/** Sees to it that the file and the server agree; gives the file's path. */
export async function settleToken(keeper: TokenKeeper, role: TokenRole, directory: string): Promise<string> {
  const file = join(directory, `${role}.token`);
  const found = tokenIn(file);
  if (found !== undefined && keeper.hasToken(role)) return file;
  const token = found ?? keeper.newToken();
  // The file first: a token that the server knows and nobody has would be lost.
  if (found === undefined) writeFileSync(file, `${token}\n`, { mode: 0o600, flag: "wx", flush: true });
  await keeper.setToken(role, token);
  return file;
}

function tokenIn(file: string): string | undefined {
  let token = "";
  try {
    token = readFileSync(file, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  if (token.length >= SHORTEST) return token;
  throw new Fault("token-wrong", {
    what: "a token file holds no token",
    where: file,
    why: `a token has at least ${SHORTEST} characters`,
    fix: "remove the file: the server makes a new one",
  });
}
