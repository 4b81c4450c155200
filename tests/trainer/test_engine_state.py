"""What checkpoints rely on in DeepSpeed's ZeRO optimizer, which has no public names for it."""

import inspect

from deepspeed.runtime.zero.stage_1_and_2 import DeepSpeedZeroOptimizer
from deepspeed.utils.tensor_fragment import fragment_address, tensor_fragment


def test_what_a_mapping_says() -> None:
    fields = tensor_fragment.__dataclass_fields__
    assert {"lp_fragment_address", "hp_fragment", "hp_fragment_address", "param_group_index"} <= fields.keys()
    assert {"start", "numel"} <= fragment_address.__dataclass_fields__.keys()


def test_what_the_optimizer_offers() -> None:
    source = inspect.getsource(DeepSpeedZeroOptimizer.__init__)
    assert "self.single_partition_of_fp32_groups" in source
    assert "self._link_all_hp_params()" in source, "mappings must exist before the first step"
    assert callable(DeepSpeedZeroOptimizer.update_lp_params)
    # Where an invalid norm is marked by -1 or inf instead of raised, as training.engine.update expects.
    assert "_global_grad_norm" in inspect.getsource(DeepSpeedZeroOptimizer.step)
