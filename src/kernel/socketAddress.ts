// struct sockaddr_in and sockaddr_in6, as the kernel takes them.
import type { Ip } from "../model/address.ts";
import * as k from "./netlink/constants.ts";

/** IPv4: family, port, address. IPv6: family, port, flow, address, scope. */
export function socketAddress({ family, value }: Ip, port = 0): Buffer {
  const address = Buffer.alloc(family === 4 ? 16 : 28);
  address.writeUInt16LE(family === 4 ? k.AF_INET : k.AF_INET6);
  address.writeUInt16BE(port, 2);
  if (family === 4) {
    address.writeUInt32BE(Number(value), 4);
  } else {
    address.writeBigUInt64BE(value >> 64n, 8);
    address.writeBigUInt64BE(BigInt.asUintN(64, value), 16);
  }
  return address;
}
