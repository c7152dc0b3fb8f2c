"""What each word of the field's command lines means here: plain ones by table.

``SAME``: the same meaning under our name. ``FLAGS``: a yes or no. ``NO_EQUAL``: understood, and why
nothing comes of it. Words whose meaning differs have a function each in :mod:`.rules`.
"""

SAME: dict[str, str] = {
    word: name
    for name, words in {
        "model": (
            "model_name_or_path", "model_name", "model", "base_model", "model_path",
            "pretrained_model_name_or_path",
        ),
        "epochs": ("num_train_epochs", "epochs", "num_epochs", "epoch", "n_epochs"),
        "batch_size": (
            "per_device_train_batch_size", "batch_size", "train_batch_size",
            "per_gpu_train_batch_size",
        ),
        "learning_rate": ("learning_rate", "lr"),
        "query_max_len": ("query_max_len", "query_max_length", "max_query_length"),
        "passage_max_len": (
            "passage_max_len", "passage_max_length", "document_max_length", "doc_max_len",
            "max_passage_length",
        ),
        "gradient_accumulation": (
            "gradient_accumulation", "gradient_accumulation_steps", "grad_accum",
        ),
        "warmup": ("warmup", "warmup_ratio", "warmup_proportion"),
        "weight_decay": ("weight_decay",),
        "max_grad_norm": ("max_grad_norm",),
        "temperature": ("temperature",),
        "seed": ("seed",),
        "eval_steps": ("eval_steps",),
        "save_steps": ("save_steps",),
        "early_stopping": ("early_stopping_patience",),
        "lora_r": ("lora_r", "lora_rank"),
        "lora_alpha": ("lora_alpha",),
        "lora_dropout": ("lora_dropout",),
        "token_dimensions": ("colbert_dim",),
        "negatives": ("neg_nums", "num_negatives"),
    }.items()
    for word in words
}  # fmt: skip

FLAGS: dict[str, str] = {
    "gradient_checkpointing": "gradient_checkpointing",
    "use_inbatch_negative": "in_batch_negatives",
    "use_inbatch_neg": "in_batch_negatives",
    "use_inbatch_negatives": "in_batch_negatives",
    "in_batch_negatives": "in_batch_negatives",
}

_RECORDED = (
    "every step is recorded here, with the data set, the recipe and TensorBoard files; nothing is "
    "sent anywhere."
)
_DEVICES = "which devices train together is said by 'devices': a number, all, or GPUs by name."
_HUB = "nothing is sent to a hub by training."
_FILES = "the workspace keeps its own files, so this folder is not used."
_OPTIMIZER = "the optimizer is AdamW with its usual settings."
_DEV = "dev is measured about eight times a run, or every 'eval_steps'."
_BEST = "the best checkpoint by the dev metric is always the one that is kept."
_LOADING = "rows are loaded by one process; it changes no result."
_SOURCES = "the sources of a row are not told apart, so batches mix them."
_PEFT = "an adapter made elsewhere is added with 'models add', and then named as the model."
_ALWAYS = "that is what training does."

NO_EQUAL: dict[str, str] = {
    **dict.fromkeys(
        ("logging_steps", "logging_strategy", "logging_first_step", "logging_dir", "report_to",
         "log", "log_with", "log_interval", "run_name", "disable_tqdm", "log_level"),
        _RECORDED,
    ),
    **dict.fromkeys(
        ("deepspeed", "fsdp", "fsdp_config", "ddp_find_unused_parameters", "ddp_backend",
         "local_rank", "ddp_timeout", "dataloader_persistent_workers", "nproc_per_node", "nnodes",
         "node_rank", "master_addr", "master_port", "num_processes", "config_file", "num_gpus",
         "include", "rdzv_backend", "rdzv_endpoint", "standalone", "main_process_port",
         "num_machines", "multi_gpu", "gpu_ids", "n_gpu", "use_deepspeed", "zero_stage",
         "deepspeed_config_file"),
        _DEVICES,
    ),
    **dict.fromkeys(
        ("push_to_hub", "hub_model_id", "hub_strategy", "hub_private_repo", "username",
         "hub_token", "token", "hf_token", "use_auth_token", "hub"),
        _HUB,
    ),
    **dict.fromkeys(
        ("cache_dir", "cache_path", "overwrite_output_dir", "data_cache_dir", "overwrite_cache"),
        _FILES,
    ),
    **dict.fromkeys(
        ("optim", "optimizer", "adam_beta1", "adam_beta2", "adam_epsilon", "lr_scheduler_kwargs"),
        _OPTIMIZER,
    ),
    **dict.fromkeys(
        ("evaluation_strategy", "eval_strategy", "do_eval", "per_device_eval_batch_size",
         "eval_batch_size", "evaluation_steps", "eval_on_start"),
        _DEV,
    ),
    **dict.fromkeys(
        ("load_best_model_at_end", "metric_for_best_model", "greater_is_better",
         "early_stopping_threshold", "save_strategy", "save_safetensors", "save_only_model"),
        _BEST,
    ),
    **dict.fromkeys(
        ("dataloader_num_workers", "num_workers", "dataloader_pin_memory",
         "dataloader_prefetch_factor", "num_proc", "preprocessing_num_workers",
         "use_slow_tokenizer", "use_fast_tokenizer"),
        _LOADING,
    ),
    **dict.fromkeys(
        ("same_dataset_within_batch", "small_threshold", "drop_threshold",
         "multi_dataset_batch_sampler"),
        _SOURCES,
    ),
    **dict.fromkeys(
        ("peft_model_path", "from_peft", "raw_peft", "modules_to_save"),
        _PEFT,
    ),
    **dict.fromkeys(("do_train", "shuffle", "remove_unused_columns"), _ALWAYS),
    "save_on_epoch_end": "a checkpoint is written at each dev evaluation, or every 'save_steps'; "
    "the best and the last stay.",
    "dataloader_drop_last": "the last batch of an epoch may be smaller here; no row is left out.",
    "drop_last": "the last batch of an epoch may be smaller here; no row is left out.",
    "pad_to_multiple_of": "texts are padded to the longest of their batch; it changes no result.",
    "sub_batch_size": "to fit a large batch into a small memory, choose the objective "
    "'cached-contrastive' and its 'mini_batch_size'.",
    "auto_find_batch_size": "the batch size stays what it says, for it changes what is learnt.",
    "shuffle_ratio": "the words of a text are never shuffled here.",
    "fix_position_embedding": "position embeddings are trained with the rest.",
    "unified_finetuning": "dense, sparse and multi-vector heads are not trained together; this "
    "trains one of them (the kind 'late-interaction' trains the multi-vector one).",
    "use_self_distill": "there is no distillation of one head into another.",
    "self_distill_start_step": "there is no distillation of one head into another.",
    "fix_encoder": "the encoder is always trained; LoRA leaves its own weights as they are.",
    "use_flash_attn": "attention is computed as PyTorch chooses for the device.",
    "torch_dtype": "trained weights are kept in fp32, frozen ones in what 'precision' says.",
    "tf32": "the number format is chosen by 'precision'.",
    "half_precision_backend": "the number format is chosen by 'precision'.",
    "save_merged_lora_model": "an adapter is merged by a step of its own after training.",
    "config_name": "a model's configuration and tokenizer are read from its own folder.",
    "tokenizer_name": "a model's configuration and tokenizer are read from its own folder.",
    "num_labels": "a reranker has one score.",
    "additional_special_tokens": "no tokens are added to the model's own.",
    "bf16_full_eval": "evaluation uses the precision of training.",
    "fp16_full_eval": "evaluation uses the precision of training.",
    "fp16_opt_level": "the number format is chosen by 'precision'.",
    "resume_from_checkpoint": "a stopped run goes on with 'jobs resume'.",
    "backend": "the run is made on this machine.",
    "unfold_each_positive": "each query and relevant document is always a row of its own.",
    "sep_token": "query and document are joined as the model's own prompt says.",
}  # fmt: skip

#: Words for the files to train on, and for those to judge by.
TRAIN_DATA = (
    "train_data", "train_dataset", "train_file", "train_path", "dataset", "data_path",
    "train_data_path", "data_dir", "dataset_name", "train_dir", "training_file", "input_file",
)  # fmt: skip
DEV_DATA = (
    "val_dataset", "dev_data", "eval_data", "eval_dataset", "validation_file", "dev_file",
    "val_data", "valid_data", "eval_file", "eval_data_path",
)  # fmt: skip
COLUMNS: dict[str, str] = {
    "query_key": "query", "positive_key": "positive", "negative_key": "negative",
    "sentence1_column": "query", "sentence2_column": "positive", "sentence3_column": "negative",
    "target_column": "score", "anchor_column": "query", "positive_column": "positive",
    "negative_column": "negative",
}  # fmt: skip
