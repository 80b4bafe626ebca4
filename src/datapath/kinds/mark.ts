// What tells Weft's objects from those of others: marks that a kernel keeps with an object.

/** Links, tables and namespaces are recognised by this mark. */
export const MARK = "weft";
/**
 * Routes of ours in any table, addresses and next hops are recognised by this number (rtm_protocol; unassigned in
 * iproute2's rt_protos).
 */
export const WEFT_PROTOCOL = 87;
