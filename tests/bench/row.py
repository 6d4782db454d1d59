"""One line of the table of figures."""
import dataclasses


@dataclasses.dataclass
class Row:
    """One line of the table. Without a bar it is there to explain the others."""
    figure: str
    value: float
    unit: str = ""
    bar: float = None
    relation: str = "<="  # or "<", ">="
    note: str = ""

    def met(self):
        if self.bar is None:
            return None
        return {"<=": self.value <= self.bar, "<": self.value < self.bar,
                ">=": self.value >= self.bar}[self.relation]
