// Unix sockets of this machine: whether a process listens on one, and how a daemon opens its own.
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { type Server, connect } from "node:net";
import { dirname } from "node:path";
import { makeDirectory } from "../files/directories.ts";
import { Fault } from "../model/fault.ts";

/** Whether a process listens on a unix socket. A socket without one was left by a killed process. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/**
 * Removes what a killed process left at the path, and creates its directory. A Fault `in-use` if a process answers
 * there, `request-invalid` if it is anything but a socket: a wrong path must not delete a file.
 */
export async function makeWay(path: string, who: "agent" | "server"): Promise<void> {
  makeDirectory(dirname(path), 0o755);
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket()) {
    const fix = "give --socket a path where nothing is, or remove it yourself";
    throw new Fault("request-invalid", { what: "something that is no socket is here, and stays", where: path, fix });
  }
  if (await answers(path)) {
    const fix = "stop it, or start this one with another --socket";
    throw new Fault("in-use", { what: `another ${who} answers on this socket`, where: path, fix });
  }
  unlinkSync(path);
}

/** Only this user may connect, also between the creation of the socket and its chmod. */
export async function listenPrivately(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
}
