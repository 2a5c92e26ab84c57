/** Holds the browser session. `__Host-`: only over TLS, only for this host, whole site (RFC 6265bis). */
export const sessionCookie = '__Host-curfew'
/** Ties the provider's answer to the browser that asked; lives for minutes. */
export const flowCookie = '__Host-curfew-flow'
/** The browser's time zone, left by the page's script; read for display only. */
export const zoneCookie = '__Host-curfew-zone'
