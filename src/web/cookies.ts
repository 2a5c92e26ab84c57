/** Holds the browser session. `__Host-`: only over TLS, only for this host, whole site (RFC 6265bis). */
export const sessionCookie = '__Host-curfew'
/** Tie the provider's answer to the browser that asked, for minutes, and say for half a day where it wanted to go. What follows is the state's first letters: each tab has its own. */
export const flowCookiePrefix = '__Host-curfew-flow-'
/** The browser's time zone, left by the page's script; read for display only. */
export const zoneCookie = '__Host-curfew-zone'
