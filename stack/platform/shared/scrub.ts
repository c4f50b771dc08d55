/** E-mail addresses, tokens, keys and signatures, wherever they stand in a text, made unreadable (P4.1, P6.3). */
export const scrub = (text: string): string =>
  text.replace(/[\w.+-]+@[\w-]+\.[\w.-]+/g, "[email]").replace(/eyJ[\w-]+\.[\w-]+\.[\w-]*/g, "[token]")
    .replace(/([?&#](?:token|sig|code|token_hash|access_token|refresh_token)=)[^&\s"]+/g, "$1[hidden]");
