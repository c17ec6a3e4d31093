// A question before something that cannot be taken back: if (await confirm({ title, text, action })) …

export interface Question { title: string; text: string; action: string; danger?: boolean; /** To be typed before it may go on. */ word?: string; /** What would make it better, and where. */ hint?: { text: string; href: string; link: string } }

let asked = $state<(Question & { answer: (yes: boolean) => void }) | undefined>();
export const question = { get current() { return asked; } };

export function confirm(about: Question): Promise<boolean> {
    asked?.answer(false);
    return new Promise((resolve) => {
        asked = { ...about, answer: (yes) => { asked = undefined; resolve(yes); } };
    });
}
