"""Files in, a value out: text is counted line by line, in little memory."""

from collections import Counter

from module_sdk import Context, File, module, serve


@module("text.word_count", version="1.0.0", outputs={"report": "file", "total": "value"})
def word_count(document: File, *, top: int = 10, ctx: Context) -> dict[str, object]:
    """Count the words of a text, and list the most frequent ones.

    The report has one line for each word, the most frequent first.
    """
    words: Counter[str] = Counter()
    with document.open() as stream:
        for line in stream:
            words.update(line.decode().lower().split())
    with ctx.create_file("words.txt", "text/plain") as report:
        for word, count in words.most_common(top):
            report.write(f"{count} {word}\n".encode())
    ctx.log.info("%d different words", len(words))
    return {"report": report, "total": words.total()}


if __name__ == "__main__":
    serve(word_count)
