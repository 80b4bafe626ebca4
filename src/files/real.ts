// The file system of this machine.
import * as fs from "node:fs";
import { promisify } from "node:util";
import type { Files } from "./files.ts";

export const realFiles: Files = {
  read: (path) => fs.readFileSync(path, "utf8"),
  exists: (path) => fs.existsSync(path),
  open: (path, flags, mode) => fs.openSync(path, flags, mode),
  write: (fd, bytes, from) => fs.writeSync(fd, bytes, from),
  sync: (fd) => fs.fsyncSync(fd),
  syncLater: promisify(fs.fsync),
  truncate: (fd, length) => fs.ftruncateSync(fd, length),
  length: (fd) => fs.fstatSync(fd).size,
  leads(path, fd) {
    const there = fs.statSync(path, { throwIfNoEntry: false });
    const open = fs.fstatSync(fd);
    return there !== undefined && there.ino === open.ino && there.dev === open.dev;
  },
  close: (fd) => fs.closeSync(fd),
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.rmSync(path, { force: true }),
};
