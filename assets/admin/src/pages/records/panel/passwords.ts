// Passwords that nobody has to think up.

// Without those that are taken for each other when they are read out: 0 O, 1 l I.
const LETTERS = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789-_.!";

/** Random characters from the browser's own source; each of the letters is equally likely. */
export function generated(length: number): string {
    const fair = 256 - (256 % LETTERS.length);
    let made = "";
    while (made.length < length) {
        for (const value of crypto.getRandomValues(new Uint8Array(length * 2))) {
            if (value < fair && made.length < length) made += LETTERS[value % LETTERS.length];
        }
    }
    return made;
}
